"""Providers, each asked for its models in the way in which the gateway would send a request there."""

import asyncio
from collections.abc import Mapping, Sequence
from time import time

import aiohttp
import msgspec

from gateway.commands.doctor.finding import Finding
from gateway.core.entities import Price
from gateway.core.errors import ErrorKind, UpstreamError
from gateway.core.provider import Provider, UpstreamRequest
from gateway.core.snapshot import Entities
from gateway.prices import Own, Prices
from gateway.upstream import Limits, Upstream, broken

_MOST = 32 << 20
"""Bytes of a list of models."""
_NAMED = 5
"""Models without a price that are named."""
_MEANING = {
    ErrorKind.AUTHENTICATION: "it does not accept the key",
    ErrorKind.PERMISSION_DENIED: "it refuses, whatever the key; a firewall, or the country that this is in?",
    ErrorKind.NOT_FOUND: "it has no such path; is the base URL right?",
    ErrorKind.RATE_LIMIT: "too many requests, or no credit left",
    ErrorKind.INSUFFICIENT_BALANCE: "the account has no credit left",
    ErrorKind.OVERLOADED: "it is overloaded",
    ErrorKind.SERVER_ERROR: "it fails by itself",
}


def own_prices(entities: Entities) -> Own:
    """Return the operator's price rows as they are looked up."""
    rows = [row for row in entities["prices"] if isinstance(row, Price)]
    return {(row.provider, row.model): row for row in rows}


async def ask(
    upstream: Upstream, providers: Sequence[Provider], keys: Mapping[str, str], own: Own, deadline: float
) -> list[Finding]:
    """Ask all at once; ``keys``: those that there are, by provider."""
    if not providers:
        what = "none has a key or an address of its own, so none is asked; clients bring their keys"
        return [Finding("note", "providers", what)]
    prices = Prices(lambda: own)

    async def ask_one(provider: Provider) -> Finding:
        key = keys.get(provider.name, "")
        request = _request(provider, key)
        where = f"{provider.base_url}{_models_path(provider)}"
        try:
            async with asyncio.timeout(deadline):
                status, body = await _fetch(upstream, request, upstream.limits(provider.name))
        except TimeoutError:
            return Finding("wrong", provider.name, f"{where} has not answered within {deadline:g} seconds")
        except UpstreamError as error:
            return Finding("wrong", provider.name, f"{where}: {error.message.rstrip('.')}{_reason(error)}")
        if status == 200:
            return _listed(provider, body, where, prices)
        kind = provider.error_kind(status, body)
        if not key and kind in (ErrorKind.AUTHENTICATION, ErrorKind.PERMISSION_DENIED):
            return Finding(
                "ok", provider.name, f"{where} wants a key; there is none here, so clients bring it"
            )
        if kind is ErrorKind.PERMISSION_DENIED and body.lstrip()[:1] == b"{":
            # An API's own words, not those of something before it.
            what = "it knows the key, which may not list models: it is restricted, or its account is"
            return Finding("note", provider.name, f"{where} answers {status}: {what}")
        meaning = _MEANING.get(kind, "that is no list of models; is the base URL right?")
        return Finding("wrong", provider.name, f"{where} answers {status}: {meaning}")

    return await asyncio.gather(*map(ask_one, providers))


def _models_path(provider: Provider) -> str:
    """Return the path with the version that the provider's requests have."""
    found = provider.match("GET", provider.row.models_path)
    return found.path if found else provider.row.models_path


def _request(provider: Provider, key: str) -> UpstreamRequest:
    url = provider.base_url + _models_path(provider)
    request = UpstreamRequest("GET", url, (("Accept", "application/json"),))
    return provider.sign(request, key) if key else request


async def _fetch(upstream: Upstream, request: UpstreamRequest, limits: Limits) -> tuple[int, bytes]:
    answer, _ = await upstream.send(request.method, request.url, request.headers, request.body, limits)
    body = b""
    try:
        while len(body) < _MOST and (chunk := await answer.content.readany()):
            body += chunk
    except aiohttp.ClientError as error:
        raise broken(error) from error
    finally:
        answer.close()
    return answer.status, body


def _listed(provider: Provider, body: bytes, where: str, prices: Prices) -> Finding:
    try:
        models = provider.model_ids(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        what = f"{where} answers 200, but with no list of models; is the base URL right?"
        return Finding("wrong", provider.name, what)
    if not models:
        return Finding("note", provider.name, f"{where} answers, but lists no models")
    now = time()
    unpriced = [model for model in models if prices.find(provider, (model,), now) is None]
    what = f"{where} answers with {len(models)} models"
    if unpriced:
        more = f" and {len(unpriced) - _NAMED} more" if len(unpriced) > _NAMED else ""
        what += f"; no price is known for {', '.join(unpriced[:_NAMED])}{more}"
    return Finding("ok", provider.name, what)


def _reason(error: UpstreamError) -> str:
    """Return what the system said of it, if anything."""
    cause = error.__cause__
    cause = getattr(cause, "certificate_error", None) or getattr(cause, "os_error", None) or cause
    said = getattr(cause, "verify_message", None) or getattr(cause, "strerror", None)
    return f": {said}" if said else ""
