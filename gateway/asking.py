"""Requests of the gateway's own to a model, on behalf of a client's: composed, sent as any other, and recorded.

Each is an interaction with its own id, cost and record, linked to the one that it is for, and of the same agent, user,
team, key and session. Its answer is read whole, and goes to nobody but who asked: so it is never gated.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter, time
from typing import NamedTuple

import aiohttp
import msgspec
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.core.credentials import credentials_in
from gateway.core.dual_llm import Asked
from gateway.core.errors import (
    Draining,
    ErrorKind,
    Forbidden,
    GatewayError,
    UpstreamError,
    UpstreamProtocol,
    UpstreamTimeout,
)
from gateway.core.interaction import Credential, Interaction, new_id
from gateway.core.provider import Match, Provider
from gateway.core.snapshot import Snapshots
from gateway.core.stage import Pipeline
from gateway.core.torn import read_torn
from gateway.core.view import Prompt, Usage
from gateway.headers import RequestHeaders
from gateway.origin import Answer
from gateway.recorder import Recorder
from gateway.relaying import relay_for
from gateway.sending import send
from gateway.settings import Settings
from gateway.stages.dual_llm import Reply
from gateway.upstream import ERROR_BODY, Upstream, broken, finish

_LONGEST = 1 << 20
"""Bytes of an answer; a longer one is no answer to what was asked."""
_REFUSED = frozenset({400, 422})
"""Statuses with which a provider refuses what it does not know, such as a schema."""
_MODELS = 256
"""Models that are remembered to know no schemas."""


class Refused(UpstreamError):
    """The provider answered with an error."""

    outcome = "upstream_status"

    def __init__(self, status: int) -> None:
        super().__init__(f"The model's provider answered with an error (status {status}).")
        self.told = status


class _Model(NamedTuple):
    """Which model is asked, where, and with whose key."""

    provider: Provider
    name: str
    match: Match
    credential: Credential | None
    query: str = ""
    """Where a client's key is, if it is not in a header."""


class Asking:
    """Asks models."""

    def __init__(self, settings: Settings, snapshots: Snapshots, upstream: Upstream, kept: int) -> None:
        """``kept``: bytes of an answer that are kept for the record."""
        self._settings = settings
        self._snapshots = snapshots
        self._upstream = upstream
        self._kept = kept
        self._stages: tuple[Callable[[Interaction], Awaitable[None]], ...] = ()
        self._recorder: Recorder | None = None
        self._schemaless: set[tuple[str, str]] = set()
        self.draining = False
        """Whoever is interrupted from now on is so since the gateway shuts down."""

    def bind(self, pipeline: Pipeline, recorder: Recorder) -> None:
        """Take what is made after the stages that ask."""
        self._stages = pipeline.request
        self._recorder = recorder

    async def complete(self, parent: Interaction, model: str, asked: Asked, seconds: float) -> Reply:
        """Ask a model (``provider/model``; empty: the parent's own) and return its answer.

        Raises a ``GatewayError`` for whatever else comes of it, also when the time is over.
        """
        ends = perf_counter() + seconds
        found = self._find(parent, model)
        known = (found.provider.name, found.name)
        prompt = asked.prompt
        if known in self._schemaless:
            prompt = _without_schema(prompt)
        try:
            return await self._ask(parent, found, prompt, ends, untrusted=asked.quarantined)
        except Refused as error:
            if not prompt.schema or error.told not in _REFUSED:
                raise
        # Not every model takes a schema; the prompt says the same in words.
        reply = await self._ask(parent, found, _without_schema(prompt), ends, untrusted=asked.quarantined)
        if len(self._schemaless) < _MODELS:
            self._schemaless.add(known)
        return reply

    def _find(self, parent: Interaction, model: str) -> _Model:
        """Return what is asked: the parent's own model with its own key, or one that the settings name.

        A client's own key is for its own provider at the address that it had when the client sent it, and for no
        other. One of the operator's is of the same snapshot as the provider that it goes to.
        """
        snapshot = self._snapshots.current
        named, _, name = model.partition("/")
        if not model:
            provider, name, lent = parent.provider, parent.request.model, ""
        elif (found := snapshot.providers.get(named)) is not None:
            provider, lent = found, snapshot.secrets.get(named, "")
        else:
            raise Forbidden(f"There is no provider {named!r} (dual_llm).")
        match = _match(parent, provider, name)
        if lent:
            return _Model(provider, name, match, Credential(secret=lent))
        if not _is_same(provider, parent.provider):
            raise Forbidden(f"This gateway has no key of its own for {provider.display_name} (dual_llm).")
        mine = parent.credential
        return _Model(
            provider, name, match, mine, credentials_in(parent.query) if mine and not mine.secret else ""
        )

    async def _ask(
        self, parent: Interaction, model: _Model, prompt: Prompt, ends: float, *, untrusted: bool
    ) -> Reply:
        i = _interaction(parent, model, prompt)
        i.context_untrusted = untrusted
        assert self._recorder is not None
        self._recorder.begin(i)
        try:
            async with asyncio.timeout(ends - perf_counter()):
                for on_request in self._stages:
                    await on_request(i)
                i.hold = False
                await self._receive(i, _headers(i, parent))
        except asyncio.CancelledError:
            if self.draining:
                i.fail(Draining("The gateway is shutting down."))
            else:
                i.outcome = "client_cancelled"
                i.error_kind = ErrorKind.CLIENT_CANCELLED
            raise
        except TimeoutError:
            error = UpstreamTimeout("The model did not answer in time.", may_have_run=True)
            i.fail(error)
            raise error from None
        except Exception as error:
            kind = i.error_kind
            i.fail(GatewayError.of(error))
            i.error_kind = kind or i.error_kind
            raise
        finally:
            i.finished = perf_counter()
            self._recorder.put(i)
        return Reply(i.completion.text, _tokens(i.completion.usage))

    async def _receive(self, i: Interaction, headers: RequestHeaders) -> None:
        limits = self._upstream.limits(i.provider.name)
        response = await send(i, i.endpoint.method, headers, b"", self._upstream, limits)
        i.ran = response.status < 300
        i.status = response.status
        i.first_byte = perf_counter()
        body: list[bytes] = []
        try:
            await self._read(i, response, body)
            await finish(response)
        finally:
            response.close()
            whole = b"".join(body)
            i.response_bytes = len(whole)
            i.response, i.response_cut = whole[: self._kept], len(whole) > self._kept
        if response.status >= 400:
            i.error_kind = i.provider.error_kind(response.status, whole[:ERROR_BODY])
            raise Refused(response.status)
        i.outcome = "ok"

    async def _read(self, i: Interaction, response: Answer, body: list[bytes]) -> None:
        relay = relay_for(i, response, self._settings, asked=False)
        room = _LONGEST
        try:
            while not relay.done and (chunk := await response.content.readany()):
                body.append(chunk)
                relay.feed(chunk)
                if (room := room - len(chunk)) < 0:
                    raise UpstreamProtocol("The model's answer is too long.", may_have_run=True)
            relay.close()
        except aiohttp.ClientPayloadError as error:
            raise broken(error) from error
        finally:
            i.unreadable, i.unknown = relay.unreadable, relay.unknown
            if relay.whole and i.ran:
                read_torn(relay.rest(), relay.adapter, i.completion)
        if response.status >= 400:
            return
        if i.completion.error is not None:
            i.error_kind = i.completion.error.kind
            raise Refused(response.status)
        said = i.completion.begun or i.completion.finish_reason is not None
        if not relay.complete or relay.unreadable or not said:
            raise UpstreamProtocol("The model's answer is not whole, or can't be read.", may_have_run=True)


def _is_same(provider: Provider, other: Provider) -> bool:
    """Whether both are one provider at one address, maybe of different snapshots."""
    return (
        type(provider) is type(other) and provider.name == other.name and provider.base_url == other.base_url
    )


def _match(parent: Interaction, provider: Provider, model: str) -> Match:
    """Return where to ask: at the parent's endpoint if that can be, since its client is known to reach it."""
    if _is_same(provider, parent.provider) and parent.endpoint.composes:
        return Match(parent.endpoint, parent.request.params, parent.path)
    if (match := provider.plain(model)) is None:
        raise Forbidden(f"{provider.display_name} has no endpoint at which the gateway can ask a model.")
    return match


def _interaction(parent: Interaction, model: _Model, prompt: Prompt) -> Interaction:
    now = time()
    endpoint = model.match.endpoint
    i = Interaction(
        new_id(now),
        model.provider,
        endpoint,
        {},
        model.match.path,
        model.query,
        perf_counter(),
        now,
        parent.agent,
        parent_id=parent.id,
        source="dual_llm",
    )
    i.principal, i.session, i.credential = parent.principal, parent.session, model.credential
    i.user, i.run, i.external_agent = parent.user, parent.run, parent.external_agent
    body = endpoint.request.compose(model.name, prompt)
    i.request = endpoint.request(body, model.match.params, model.provider.row.quirks)
    if i.request.model != model.name:
        i.request.set_model(model.name)  # where the path says it
        i.request.model = model.name
    i.requested_model, i.streamed = model.name, i.request.stream
    i.request_bytes = len(body)
    return i


def _headers(i: Interaction, parent: Interaction) -> RequestHeaders:
    headers = CIMultiDict({"Content-Type": "application/json", "User-Agent": "llm-gateway"})
    for name, usual in i.provider.composed_headers.items():
        said = parent.headers.get(name, usual) if _is_same(i.provider, parent.provider) else usual
        if said:
            headers[name] = said
    return RequestHeaders(CIMultiDictProxy(headers))


def _without_schema(prompt: Prompt) -> Prompt:
    return msgspec.structs.replace(prompt, schema=msgspec.Raw(b""))


def _tokens(usage: Usage | None) -> int | None:
    """Return what an answer used, if its provider said so."""
    if usage is None or usage.input_tokens is None:
        return None
    counts = (usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens, usage.output_tokens)
    return sum(count or 0 for count in counts)
