"""The fake provider itself: finds the format by the end of the path, plays scripts, breaks connections on purpose."""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, Self
from urllib.parse import unquote

import msgspec
from aiohttp import web

from gateway.demo import catalog, opaque
from gateway.demo.anthropic import Messages
from gateway.demo.gemini import GenerateContent
from gateway.demo.openai_chat import ChatCompletions
from gateway.demo.openai_responses import Responses
from gateway.demo.scenario import MODELS, Script, select, status_of
from gateway.demo.wire import Target, Wire, encode

GEMINI_METHOD = re.compile(r"/(?:models|tunedModels|endpoints)/(?P<model>.+):(?P<method>[A-Za-z]+)$")
MODEL = re.compile(r"/models(?:/(?P<model>.+))?$")
DEPLOYMENT = re.compile(r"/deployments/(?P<model>[^/]+)/")
# What comes of reading a body whose fields have unexpected types; its vendor would refuse it too.
WRONG_SHAPE = (AttributeError, KeyError, TypeError, ValueError, RecursionError)
GEMINI_PREFIXES = frozenset({"gemini", "vertex", "google"})

FORMATS: tuple[tuple[str, type[Wire]], ...] = (
    ("/chat/completions", ChatCompletions),
    ("/messages", Messages),
    ("/responses", Responses),
)


class Provider:
    """Answers any path of any vendor; `pace` is the pause between pieces where a scenario asks for none."""

    def __init__(self, pace: float) -> None:
        self.pace = pace

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Find out what the path asks for."""
        path = request.rel_url.raw_path.rstrip("/")
        provider = path.split("/", 2)[1] if path.count("/") > 1 else ""
        if request.method == "GET" and (found := MODEL.search(path)):
            return _models(request, provider, unquote(found["model"] or ""))
        if request.method != "POST":
            return await opaque.answer(request)
        if found := GEMINI_METHOD.search(path):
            return await self.gemini(request, provider, unquote(found["model"]), found["method"])
        if path.endswith("/embeddings"):
            return await _simple(request, ChatCompletions, catalog.openai_embeddings)
        if path.endswith("/responses/input_tokens"):
            return await _count(request, Responses, "input_tokens", {"object": "response.input_tokens"})
        if path.endswith("/messages/count_tokens"):
            return await _count(request, Messages, "input_tokens", {})
        for suffix, wire in FORMATS:
            if path.endswith(suffix) and "/threads/" not in path:
                deployment = DEPLOYMENT.search(path)
                model = unquote(deployment["model"]) if deployment else ""
                return await self.converse(request, wire, Target(provider=provider, model=model))
        return await opaque.answer(request)

    async def gemini(
        self, request: web.Request, provider: str, model: str, method: str
    ) -> web.StreamResponse:
        """Answer one of the methods of a model in a URL."""
        match method:
            case "generateContent" | "streamGenerateContent":
                stream = method.startswith("stream")
                target = Target(provider, model, stream=stream, sse=request.query.get("alt") == "sse")
                return await self.converse(request, GenerateContent, target)
            case "rawPredict" | "streamRawPredict":  # Anthropic's format on Vertex
                target = Target(provider, model, stream=method.startswith("stream"))
                return await self.converse(request, Messages, target)
            case "countTokens":
                return await _count(request, GenerateContent, "totalTokens", {}, Target(provider, model))
            case "embedContent":
                return await _simple(request, GenerateContent, catalog.gemini_embedding, model)
            case "batchEmbedContents":
                return await _simple(request, GenerateContent, catalog.gemini_embeddings, model)
            case _:
                return await opaque.answer(request)

    async def converse(self, request: web.Request, kind: type[Wire], target: Target) -> web.StreamResponse:
        """Answer a conversation as its scenario says."""
        body = await _body(request)
        if body is None:
            return _error(kind, 400, "We could not parse the JSON body of your request.")
        try:
            wire = kind(body, target)
            script = select(wire.ask)
        except WRONG_SHAPE:
            return _error(kind, 400)
        if script.status != 200:
            return _error(kind, script.status)
        if wire.ask.stream:
            return await self.play(request, wire, script)
        if script.first_pause or (script.pause and len(script.text) > 1):
            await asyncio.sleep(script.first_pause + script.pause * len(script.text))
        whole = wire.whole(script)
        headers = {**wire.headers(), "Content-Type": wire.whole_type}
        if not script.cut:
            return web.Response(body=whole, headers=headers)
        response = web.StreamResponse(headers={**headers, "Content-Length": str(len(whole))})
        await response.prepare(request)
        await response.write(whole[: len(whole) // 2])
        return _cut(request, response)

    async def play(self, request: web.Request, wire: Wire, script: Script) -> web.StreamResponse:
        """Stream the frames, each in a write of its own, in the script's rhythm."""
        headers = {**wire.headers(), "Content-Type": wire.stream_type, "Cache-Control": "no-cache"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        frames = iter(wire.frames(script))
        if script.cut:
            known = list(frames)
            middle = len(known) // 2
            frames = iter([*known[:middle], known[middle][: len(known[middle]) // 2]])
        pause = script.pause or self.pace
        loop = asyncio.get_running_loop()
        due = loop.time() + script.first_pause
        try:
            await response.write(next(frames))
            for frame in frames:
                # Also without a pause: uvloop would join the writes of one turn of the loop.
                await asyncio.sleep(max(0.0, due - loop.time()))
                await response.write(frame)
                due += pause
        except ConnectionError:
            return response  # the client went away
        if script.cut:
            return _cut(request, response)
        await response.write_eof()
        return response


class Running:
    """A fake provider that listens; every provider's base URL is `url` and the provider's name."""

    def __init__(self, runner: web.AppRunner, host: str, port: int) -> None:
        self._runner = runner
        self.port = port
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Close the port and every connection."""
        await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def application(*, pace: float = 0.0) -> web.Application:
    """Build the fake provider; `pace` seconds between pieces let a human see the stream."""
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", Provider(pace).answer)
    return app


async def start(host: str = "127.0.0.1", port: int = 0, *, pace: float = 0.0) -> Running:
    """Listen on the port, or on a free one."""
    runner = web.AppRunner(application(pace=pace), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    bound: int = runner.addresses[0][1]
    return Running(runner, host, bound)


def _models(request: web.Request, provider: str, name: str) -> web.Response:
    query, headers = request.query, request.headers
    google = "x-goog-api-key" in headers or "x-goog-api-client" in headers or "key" in query
    claude = "anthropic-version" in headers or "x-api-key" in headers
    if provider in GEMINI_PREFIXES or (google and provider != "openai"):
        kind: type[Wire] = GenerateContent
        body = catalog.gemini_model(name) if name else catalog.gemini_models(query)
    elif provider == "anthropic" or (claude and provider != "openai"):
        kind = Messages
        body = catalog.anthropic_model(name) if name else catalog.anthropic_models(query)
    else:
        kind = ChatCompletions
        body = catalog.openai_model(name) if name else catalog.openai_models()
    if "/" not in name and (status := status_of(name)) != 200 and name not in MODELS:
        return _error(kind, status)
    return web.Response(body=body, headers={"Content-Type": kind.whole_type})


async def _simple(
    request: web.Request,
    kind: type[Wire],
    reply: Callable[[dict[str, Any]], bytes],
    model: str = "",
) -> web.Response:
    body = await _body(request)
    if body is None:
        return _error(kind, 400, "We could not parse the JSON body of your request.")
    if (status := status_of(model or str(body.get("model")))) != 200:
        return _error(kind, status)
    try:
        answer = reply(body)
    except WRONG_SHAPE:
        return _error(kind, 400)
    return web.Response(body=answer, headers={"Content-Type": kind.whole_type})


async def _count(
    request: web.Request,
    kind: type[Wire],
    field: str,
    rest: Mapping[str, str],
    target: Target | None = None,
) -> web.Response:
    def count(body: dict[str, Any]) -> bytes:
        body = body.get("generateContentRequest") or body
        return encode({**rest, field: kind(body, target or Target()).ask.tokens})

    return await _simple(request, kind, count, target.model if target else "")


async def _body(request: web.Request) -> dict[str, Any] | None:
    try:
        body = msgspec.json.decode(await request.read())
    except msgspec.DecodeError:
        return None
    return body if isinstance(body, dict) else None


def _error(kind: type[Wire], status: int, message: str = "") -> web.Response:
    body, headers = kind.error(status, message)
    return web.Response(status=status, body=body, headers={**headers, "Content-Type": kind.whole_type})


def _cut(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Close the connection before the body is complete."""
    if request.transport is not None:
        request.transport.close()
    return response
