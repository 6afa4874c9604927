"""One request through the gateway: client to core to upstream, and back.

The order is always this: headers, body, stages, send, relay, verdict, record. Stages raise;
only ``run`` catches. What is here runs for every request, or for every chunk of every answer.
"""

import asyncio
from collections.abc import Mapping
from time import monotonic, perf_counter
from typing import NamedTuple

import aiohttp
import structlog
from aiohttp import web

from gateway import upstream as io
from gateway.client import Client, Upload
from gateway.core.errors import (
    BodyTimeout,
    ErrorKind,
    Forbidden,
    GatewayError,
    NotEvaluated,
    UpstreamProtocol,
    UpstreamTimeout,
)
from gateway.core.interaction import Interaction
from gateway.core.kept import NOTHING, Kept
from gateway.core.relay import Relay
from gateway.core.stage import Pipeline
from gateway.core.torn import read_torn
from gateway.headers import Headers, RequestHeaders, client_headers
from gateway.intake import take_request
from gateway.opening import Opening
from gateway.origin import Answer
from gateway.recorder import Recorder
from gateway.relaying import relay_for
from gateway.sending import broken_off, send
from gateway.settings import Settings
from gateway.watchdog import ClientStalled, Watch, Watchdog

_TURN = 256 << 10
"""Bytes relayed without a pause before other requests get a turn."""
_LAST_WORDS = 5.0
"""Seconds for writing an error to a client."""
_JUDGING = 2.0
"""Seconds for a verdict: no stage has to ask anybody, and a call that nobody judges is not released."""
_JSON = "application/json"

_log = structlog.get_logger()


class Parts(NamedTuple):
    """What all requests share."""

    settings: Settings
    pipeline: Pipeline
    upstream: io.Upstream
    recorder: Recorder
    watchdog: Watchdog
    loop: asyncio.AbstractEventLoop
    kept: int
    """Bytes of an answer that are kept for the record; 0: none."""


class Exchange:
    """Serves one interaction to one client."""

    __slots__ = (
        "_client",
        "_error_body",
        "_headers",
        "_i",
        "_opaque",
        "_opening",
        "_parts",
        "_received",
        "_relay",
        "_request",
        "_sent",
        "_waited",
        "_watch",
    )

    def __init__(
        self, parts: Parts, i: Interaction, request: web.BaseRequest, headers: RequestHeaders, client: Client
    ) -> None:
        i.presented = headers.credentials
        i.ours = headers.ours
        i.client = request.headers.get("User-Agent", "")
        self._parts = parts
        self._headers = headers
        self._i = i
        self._request = request
        self._client = client
        self._watch = Watch(parts.loop, client)
        self._relay: Relay | None = None
        self._opening: Opening | None = None
        self._opaque: bytes | Upload = b""  # a body that nobody parses
        self._error_body: bytearray | None = None
        self._waited = 0.0  # seconds spent on reading the client's body: not ours
        self._sent = 0.0
        self._received = 0.0

    async def run(self, params: Mapping[str, str]) -> None:
        """Serve it; raises nothing but ``CancelledError``, when the client has gone."""
        i = self._i
        watches = self._parts.watchdog.watches
        watches.add(self._watch)
        try:
            await self._prepare(params)
            await self._answer()
        except asyncio.CancelledError:
            if not self._watch.interrupted():
                self._gone()
                raise
            await self._fail(self._interruption())
        except ConnectionError:
            self._gone()
        except Exception as error:  # noqa: BLE001  # whatever happened, the client gets an answer and the log a record
            await self._fail(error)
        finally:
            watches.discard(self._watch)
            self._watch.open = None
            i.finished = perf_counter()
            i.response_bytes = self._client.sent
            if (relay := self._relay) is not None:
                i.unreadable = relay.unreadable
                i.unknown = relay.unknown
                if relay.whole and i.outcome != "ok" and i.ran and i.endpoint.carries_calls:
                    read_torn(relay.rest(), relay.adapter, i.completion)
            if isinstance(self._opaque, Upload):
                i.request_bytes = self._opaque.size
            self._parts.recorder.put(i)

    async def _prepare(self, params: Mapping[str, str]) -> None:
        """Authenticate, read the request, and let the stages at it."""
        i = self._i
        settings = self._parts.settings
        endpoint = i.endpoint
        for on_headers in self._parts.pipeline.headers:
            await on_headers(i)
        self._parts.recorder.begin(i)  # from here on it is known who calls
        before = perf_counter()
        self._opaque = await take_request(i, self._request, self._headers, params, settings, self._watch)
        self._waited = perf_counter() - before
        i.requested_model = i.request.model
        i.streamed = i.request.stream
        i.session = i.session or i.provider.session(i.headers) or i.request.session
        for on_request in self._parts.pipeline.request:
            await on_request(i)
            if i.quarantined and i.streamed and self._watch.open is None:
                # What comes next may take longer than the client waits for a sign of life.
                self._watch.expect("stages", 0.0)
                self._watch.open = self._open
        self._watch.open = None
        if i.hold and (endpoint.stateful or not endpoint.listed):
            what = (
                "This endpoint reaches what the provider stores, which"
                if endpoint.listed
                else "The gateway does not know this path, whose answers"
            )
            raise Forbidden(
                f"{what} no policy on tool calls can judge; it is closed while tool_invocation_policies are enforced."
            )
        if (i.hold or i.guard.enforces) and not endpoint.opaque:
            i.request.require_unique_members()

    async def _answer(self) -> None:
        i = self._i
        watch = self._watch
        limits = self._parts.upstream.limits(i.provider.name)
        asked = i.request.ask_usage() if i.streamed else False
        if limits.total:
            watch.deadline = monotonic() + limits.total
        watch.expect("first_byte", limits.first_byte_streamed if i.streamed else limits.first_byte_whole)
        self._sent = perf_counter()
        method = self._request.method
        response = await send(i, method, self._headers, self._opaque, self._parts.upstream, limits)
        i.ran = response.status < 300
        try:
            if self._opening is not None:
                await self._opening.check(response)
            relay = self._relay = relay_for(i, response, self._parts.settings, asked=asked)
            if response.status >= 400:
                self._error_body = bytearray()
            tail = await self._pump(response, relay, limits.gap)
            tail += await self._verdict(relay)
            if not self._client.begun and method == "HEAD":
                await self._begin(response, response.length)
            watch.expect("end", 0.0)
            watch.writing = True  # it is up to the client, and no keep-alive may follow the end
            if self._client.begun:
                await self._client.end(tail)
            else:
                await self._client.whole(response.status, self._head(response), tail)
            self._settle(response.status)
            await io.finish(response)
        finally:
            response.close()

    async def _pump(self, response: Answer, relay: Relay, gap: float) -> bytes:
        """Relay chunk by chunk until the upstream or its answer has ended; return what is left to write."""
        client = self._client
        watch = self._watch
        watch.relay = relay
        read, at_eof, whole = response.content.readany, response.content.at_eof, relay.whole
        feed = relay.feed
        write = client.writer.write
        gated = relay.gated
        errors = self._error_body
        relay.kept = kept = NOTHING if self._i.endpoint.opaque else Kept(self._parts.kept)
        silent = True
        turn = 0
        try:
            while chunk := await read():
                watch.idle = 0.0
                ready = feed(chunk)
                if silent:
                    silent = self._listen(gap)
                if ready:
                    if not client.begun:
                        await self._begin(
                            response, response.whole_length if relay.whole and not gated else None
                        )
                    client.sent += len(ready)
                    watch.writing = True
                    if len(ready) > _TURN:
                        await client.write_in_turns(ready, _TURN)
                    else:
                        await write(ready)
                    watch.writing = False
                    watch.opening = None
                if errors is not None and len(errors) < io.ERROR_BODY:
                    errors += chunk
                if relay.stopped or (whole and at_eof()):
                    break
                turn += len(chunk)
                if turn > _TURN:
                    turn = 0
                    await asyncio.sleep(0)
        except aiohttp.ClientPayloadError as error:
            raise broken_off(self._opaque) or io.broken(error) from error
        finally:
            self._i.response, self._i.response_cut = kept.take()
        if not silent:
            self._i.last_token = perf_counter()
        if not client.begun:
            self._received = perf_counter()  # what was waited for until here was the upstream
        tail = b"" if relay.stopped else relay.close()
        if relay.failure is not None:
            raise relay.failure
        if not relay.complete or (relay.whole and relay.unreadable and not response.delimited):
            raise UpstreamProtocol("The upstream ended its answer before it was complete.", may_have_run=True)
        return tail

    def _listen(self, gap: float) -> bool:
        """Note when the first bytes came, and the first token; return whether there is more to be noted."""
        if not self._received:
            self._received = perf_counter()
            self._watch.expect("gap", gap)
        if self._i.completion.begun:
            self._i.first_token = perf_counter()
            return False
        return True

    async def _verdict(self, relay: Relay) -> bytes:
        """Let the stages judge what was held; return what the client gets in its place."""
        if not relay.held:
            return b""
        i = self._i
        self._watch.expect("", 0.0)
        try:
            async with asyncio.timeout(_JUDGING):
                for judge in self._parts.pipeline.tool_calls:
                    await judge(i)
        except Exception as error:
            if isinstance(error, GatewayError):
                raise
            _log.exception("a stage failed to judge tool calls", id=i.id)
            raise NotEvaluated("A policy failed to judge the upstream's tool calls.") from error
        return relay.release() if i.refusal is None else relay.refuse(i.refusal)

    async def _begin(self, response: Answer, length: int | None) -> None:
        """Commit to the upstream's status and headers."""
        await self._client.start(response.status, self._head(response), length)

    def _head(self, response: Answer) -> Headers:
        """Note that the answer begins, with the upstream's status; return its headers."""
        i = self._i
        now = perf_counter()
        i.first_byte = now
        i.overhead = (self._sent - i.started - self._waited - i.waited) + (
            now - self._received if self._received else 0.0
        )
        i.status = response.status
        headers = client_headers(response.headers)
        if i.refusal is not None and self._relay is not None and self._relay.whole:
            # A document of our own, so with our own label: some clients know JSON by its lower case only.
            headers = [each for each in headers if each[0].lower() != "content-type"]
            headers.append(("Content-Type", _JSON))
        self._add_ours(headers)
        return headers

    async def _open(self) -> None:
        """Begin a stream whose client has waited for long."""
        i = self._i
        client = self._client
        if client.begun or self._watch.phase != "stages":
            return
        self._opening = self._watch.opening = opening = Opening(i, self._parts.settings)
        i.first_byte = perf_counter()
        i.status = 200
        headers = [("Content-Type", opening.content_type)]
        self._add_ours(headers)
        await client.start(200, headers)
        await client.write(opening.keep_alive())

    def _add_ours(self, headers: Headers) -> None:
        i = self._i
        headers.append(("x-gateway-interaction-id", i.id))
        if i.overhead is not None:
            headers.append(("x-gateway-overhead-ms", f"{i.overhead * 1000:.3f}"))
        if i.response_headers:
            headers.extend(i.response_headers.items())

    def _settle(self, status: int) -> None:
        """Note how an answer that came through ended."""
        i = self._i
        if self._error_body is not None:
            i.outcome = "upstream_status"
            i.error_kind = i.provider.error_kind(status, bytes(self._error_body))
        elif i.completion.error is not None:
            i.outcome = "upstream_status"
            i.error_kind = i.completion.error.kind
        else:
            i.outcome = "ok" if i.refusal is None else "policy_blocked"

    def _gone(self) -> None:
        """Note that the client has left; after the last event that is how many of them end a stream."""
        i = self._i
        relay = self._relay
        if i.outcome:
            return
        if relay is not None and relay.over and self._client.begun and not relay.gated:
            self._settle(i.status)
        else:
            i.outcome = "client_cancelled"
            i.error_kind = ErrorKind.CLIENT_CANCELLED

    async def _fail(self, cause: BaseException | None) -> None:
        """End with an error of ours, in the provider's own shape."""
        i = self._i
        client = self._client
        if i.outcome:
            return  # the answer was written; what broke after it is nobody's loss
        error = GatewayError.of(cause or RuntimeError())
        if error is not cause:
            _log.error("request failed", id=i.id, exc_info=cause)
        i.fail(error)
        self._watch.expect("", 0.0)
        try:
            async with asyncio.timeout(_LAST_WORDS):
                if isinstance(error, ClientStalled):
                    client.abort()
                elif not client.begun:
                    await self._respond(error)
                elif (told := self._relay or self._opening) is None or (ending := told.fail(error)) is None:
                    client.abort()
                else:
                    await client.end(ending)
        except (TimeoutError, ConnectionError):
            client.abort()

    def _interruption(self) -> GatewayError | None:
        """Return why the watchdog, or the end of the process, interrupted this request."""
        error = self._watch.error
        upload = self._opaque
        if isinstance(error, UpstreamTimeout) and isinstance(upload, Upload) and upload.awaited:
            return BodyTimeout("The request body came too slowly; send it again.")
        if error is not None and self._sent:
            error.may_have_run = True
        return error

    async def _respond(self, error: GatewayError) -> None:
        i = self._i
        i.first_byte = perf_counter()
        i.overhead = (self._sent or i.first_byte) - i.started - self._waited - i.waited
        i.status = i.provider.error_status(error)
        headers = [("Content-Type", _JSON), *error.headers.items()]
        self._add_ours(headers)
        await self._client.respond(i.status, headers, i.provider.error(error, i.endpoint))
