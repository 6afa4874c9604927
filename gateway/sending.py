"""A request as a provider gets it: headers built anew, with the one credential that goes upstream."""

import asyncio

from gateway.client import Upload
from gateway.core.errors import UpstreamError, UpstreamProtocol
from gateway.core.interaction import Interaction
from gateway.core.provider import UpstreamRequest
from gateway.headers import RequestHeaders
from gateway.lending import without_lent_key
from gateway.origin import Answer
from gateway.relaying import foreign_encoding
from gateway.upstream import Limits, Upstream


async def send(
    i: Interaction,
    method: str,
    sorted_: RequestHeaders,
    opaque: bytes | Upload,
    upstream: Upstream,
    limits: Limits,
) -> Answer:
    """Send it, and return the head of the answer; ``opaque``: a body that nobody parsed."""
    headers = i.request.headers(sorted_.up)
    url = i.provider.base_url + i.request.path(i.path)
    if i.query:
        url = f"{url}?{i.query}"
    if encoding := foreign_encoding(sorted_.read.get("content-encoding", "")):
        headers.append(("Content-Encoding", encoding))  # only what is opaque may have one
    body = i.request.encode()
    if body is not i.request.body:
        i.forwarded = body
    credential = i.credential
    if credential is not None and credential.secret:
        signed = i.provider.sign(UpstreamRequest(method, url, headers, body), credential.secret)
        url, headers, body = signed.url, list(signed.headers), signed.body
    elif credential is not None:
        headers.extend(credential.headers)
    i.attempts = 1
    try:
        response, i.attempts = await upstream.send(method, url, headers, opaque or body, limits)
    except asyncio.CancelledError as error:
        i.ran = getattr(error, "written", False)
        raise
    except UpstreamError as error:
        i.attempts = error.attempts
        i.ran = error.may_have_run and not isinstance(
            error, UpstreamProtocol
        )  # what is no HTTP is no model's
        # When the client's own body broke off, that is what failed.
        raise broken_off(opaque) or error from None
    if credential is not None and credential.secret:
        return without_lent_key(response, credential.secret)
    return response


def broken_off(body: bytes | Upload) -> Exception | None:
    """Return why a body that was passed on as it came broke off, if it did."""
    return None if isinstance(body, bytes) else body.error
