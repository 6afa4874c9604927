"""A client's request body, as its endpoint wants it: whole and parsed, or passed on as it comes."""

from collections.abc import Mapping

from aiohttp import web

from gateway.client import Upload, read_body, take_body
from gateway.core.errors import BadRequest
from gateway.core.interaction import Interaction
from gateway.headers import RequestHeaders
from gateway.relaying import ENCODINGS, foreign_encoding
from gateway.settings import Settings
from gateway.watchdog import Watch


async def take_request(
    i: Interaction,
    request: web.BaseRequest,
    headers: RequestHeaders,
    params: Mapping[str, str],
    settings: Settings,
    watch: Watch,
) -> bytes | Upload:
    """Read the body into ``i.request``; return one that nobody parses, else nothing."""
    endpoint = i.endpoint
    expected = "expect" in headers.read
    quirks = i.provider.row.quirks
    encoded = "content-encoding" in headers.read
    foreign = encoded and foreign_encoding(headers.read["content-encoding"])
    if endpoint.opaque:
        i.request = endpoint.request(b"", params, quirks)
        if not request.body_exists:
            return b""
        taken = await take_body(
            request,
            settings.opaque_body_limit,
            watch.moved,
            encoded=encoded and not foreign,
            expected=expected,
        )
        if isinstance(taken, bytes):
            i.request_bytes = len(taken)
        return taken
    if foreign:
        raise BadRequest(f"The request body's encoding {foreign!r} is not one of {', '.join(ENCODINGS)}.")
    body = await read_body(request, settings.body_limit, expected=expected)
    if not body and encoded:
        raise BadRequest("The request body is not encoded as its headers say, or is cut.")
    i.request_bytes = len(body)
    i.request = endpoint.request(body, params, quirks)
    return b""
