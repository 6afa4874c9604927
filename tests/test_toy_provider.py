"""A provider of a made-up format takes one module and one folder of fixtures, and nothing else.

The format: NDJSON whose lines are ``{"say": …}``, ``{"do": …}`` and ``{"bye": …}``.
"""

import asyncio
import contextlib
import gc
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from gateway import providers as provider_modules
from gateway import settings
from gateway.app import Gateway, load_providers
from gateway.core import provider as registry
from gateway.core.provider import Provider, Providers
from gateway.core.stage import Stage
from gateway.core.view import Message
from gateway.testing import check_contract, load_cases, missing_cases
from tests.harness.stages import RefuseTools
from tests.toy import toy

FIXTURES = Path(__file__).parent / "toy" / "fixtures"
CASES = load_cases(FIXTURES / "toy")


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setattr(registry, "_REGISTERED", {})
    toy.register()
    yield Providers()["toy"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_toy_fulfils_the_contract(provider, case):
    check_contract(provider, case)


def test_the_toy_has_every_case_that_a_provider_needs(provider):
    assert missing_cases(provider, CASES) == []
    assert "ChatResponse: tool call" in missing_cases(
        provider, [case for case in CASES if "tool_call" not in case.name]
    )
    assert "POST /talk: any case" in missing_cases(provider, [])


class Leaky(toy.ChatResponse):
    """Forgets that a ``do`` line is a call."""

    def events(self, frame):
        return () if b'"do"' in frame.data else super().events(frame)


class Forgetful(toy.ChatResponse):
    """Forgets what stood beside the call."""

    def refusal(self, text, held, completion):
        return list(super().refusal(text, held, completion))[1:]


class Rewriting(toy.ChatRequest):
    """Encodes bodies that nobody edited."""

    def encode(self):
        return msgspec.json.encode(msgspec.json.decode(super().encode()))


class Careless(toy.ChatRequest):
    """Edits more than it was asked to."""

    def set_tool_result(self, result, text):
        super().set_tool_result(result, text)
        self.set(("user",), "careless")


class Mute(toy.ChatRequest):
    """Forgets what was said."""

    @classmethod
    def parse_message(cls, element):
        return Message("user", ())


@pytest.mark.parametrize(
    ("request_class", "response_class", "case", "complaint"),
    [
        (toy.ChatRequest, Leaky, "tool_call_stream", "5 view"),
        (toy.ChatRequest, Forgetful, "tool_call_stream", "6 refusal"),
        (Rewriting, toy.ChatResponse, "text", "7 identity"),
        (Careless, toy.ChatResponse, "tool_result", "8 edits"),
        (Mute, toy.ChatResponse, "text", "11 messages"),
        (Mute, toy.ChatResponse, "tool_result", "11 messages"),
    ],
)
def test_the_contract_notices_a_broken_adapter(
    provider, monkeypatch, request_class, response_class, case, complaint
):
    endpoint = provider.endpoints[0]
    monkeypatch.setattr(endpoint, "request", request_class)
    monkeypatch.setattr(endpoint, "response", response_class)
    with pytest.raises(AssertionError, match=complaint):
        check_contract(provider, next(c for c in CASES if c.name == f"toy/{case}"))


# And it is served: by a whole gateway, in front of an upstream that answers with the fixtures' bytes.


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the toy as a third party's package would: by an entry point, beside the real providers."""
    provider_modules.load()
    monkeypatch.setattr(registry, "_REGISTERED", dict(registry._REGISTERED))
    package = SimpleNamespace(load=toy.register)
    monkeypatch.setattr(provider_modules, "entry_points", lambda group: [package])


REFUSING = RefuseTools(["shell"])


class Vendor:
    """Answers as the case says, and keeps what it got."""

    def __init__(self) -> None:
        self.case = CASES[0]
        self.cut = 0
        self.got: list[tuple[str, str, str | None, bytes]] = []

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        key = request.headers.get("Authorization")
        self.got.append((request.method, request.path_qs, key, await request.read()))
        case = self.case
        response = web.StreamResponse(status=case.status, headers={"Content-Type": case.content_type})
        await response.prepare(request)
        body = case.response[: self.cut or None]
        for start in range(0, len(body), 10):
            await response.write(body[start : start + 10])
        if self.cut:
            assert request.transport
            request.transport.abort()
        return response


@contextlib.asynccontextmanager
async def serving(*stages: Stage) -> AsyncIterator[tuple[Vendor, str]]:
    vendor = Vendor()
    async with contextlib.AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(RawTestServer(vendor))
        environment = {
            "GATEWAY_STATE_DIR": stack.enter_context(tempfile.TemporaryDirectory()),
            "GATEWAY_PORT": "0",
            "GATEWAY_CONSOLE_PORT": "0",
            "GATEWAY_DRAIN_ACCEPT": "0",
            "GATEWAY_LOG_LEVEL": "warning",
            "GATEWAY_TOY_BASE_URL": str(upstream.make_url("/")),
            "GATEWAY_TOY_API_KEY": "stored",
            "GATEWAY_AUTH": "open",
        }
        loaded = settings.load(environment=environment)
        gateway = Gateway(loaded, *load_providers(loaded, environment), stages)
        thresholds = gc.get_threshold()
        await gateway.start()
        hurry = asyncio.Event()
        hurry.set()
        try:
            yield vendor, f"{gateway.url}/v1/toy"
        finally:
            await gateway.stop(hurry)
            gc.unfreeze()
            gc.set_threshold(*thresholds)


async def ask(vendor: Vendor, url: str, name: str, cut: int = 0) -> tuple[int, str, bytes]:
    case = vendor.case = next(case for case in CASES if case.name == f"toy/{name}")
    vendor.cut = cut
    vendor.got.clear()
    async with (
        aiohttp.ClientSession() as session,
        session.request(case.method, url + case.path, data=case.request or None) as response,
    ):
        body = await response.read()
    assert vendor.got == [(case.method, case.path, "Bearer stored", case.request)]
    return response.status, response.headers["Content-Type"], body


@pytest.mark.parametrize("gated", [False, True])
async def test_the_toy_is_served(installed, gated):
    async with serving(*[REFUSING] * gated) as (vendor, url):
        for case in CASES:
            calls = case.expect.get("response", {}).get("tool_calls") or case.name == "toy/unknown_line"
            if not (gated and calls):
                answer = await ask(vendor, url, case.name.removeprefix("toy/"))
                assert answer == (case.status, case.content_type, case.response), case.name


async def test_a_call_of_the_toy_is_refused(installed):
    async with serving(REFUSING) as (vendor, url):
        status, _, streamed = await ask(vendor, url, "tool_call_stream")
        assert status == 200
        said, *ending, _, _ = streamed.split(b"\n")[-6:]
        assert said == b'{"say": "Let me"}'
        assert ending[:2] == [b'{"say":" see."}', b'{"say":" Now."}']
        assert b"shell was denied" in ending[2]
        status, _, whole = await ask(vendor, url, "tool_call")
        assert status == 200
        assert b"shell was denied" in whole
        assert b'"do":' not in streamed + whole


async def test_a_toy_that_breaks_off(installed):
    async with serving() as (vendor, url):
        case = next(case for case in CASES if case.name == "toy/stream")
        status, _, body = await ask(vendor, url, "stream", cut=len(case.response) - 5)
        assert status == 200
        *lines, last, rest = body.split(b"\n")
        assert case.response.startswith(b"\n".join(lines))
        assert last.startswith(b'{"oops":{"message":')
        assert rest == b""


async def test_what_the_toy_does_not_serve(installed):
    async with serving() as (vendor, url), aiohttp.ClientSession() as session:
        async with session.post(url + "/nothing", data=b"{}") as response:
            assert (response.status, list(await response.json())) == (404, ["oops"])
        async with session.post(url + "/talk", data=b"{") as response:
            assert (response.status, list(await response.json())) == (400, ["oops"])
        assert vendor.got == []


class Broken(Stage):
    """A policy that fails instead of judging."""

    async def on_tool_calls(self, i):
        raise RuntimeError("no database")


async def test_a_call_that_no_policy_could_judge_does_not_leave(installed):
    """A stage that fails is no permission, and the client is told that nobody judged."""
    async with serving(Broken()) as (vendor, url):
        status, _, body = await ask(vendor, url, "tool_call")
        assert status == 502
        assert b"failed to judge" in body
        streamed, _, stream = await ask(vendor, url, "tool_call_stream")
        call = next(case for case in CASES if case.name == "toy/tool_call_stream").expect["response"][
            "tool_calls"
        ][0]
        assert streamed in (200, 502)
        assert b"failed to judge" in stream
        assert call["name"].encode() not in stream
