"""Decide once, when the head of an answer has come, how it is relayed."""

import re
from functools import lru_cache

from gateway.core.error_bodies import ErrorFramer
from gateway.core.errors import UpstreamProtocol
from gateway.core.frames import OpaqueFramer
from gateway.core.framing import framer_for
from gateway.core.interaction import Interaction
from gateway.core.relay import Relay
from gateway.origin import Answer
from gateway.settings import Settings

ENCODINGS = ("gzip", "deflate", "br", "zstd")
"""Encodings of a body that are undone on the way, in both directions."""
_UTF8 = re.compile(r"""charset=(?:utf-?8|"utf-?8"|us-ascii)(?=\s*(?:;|$))""")
_PLAIN = frozenset({"", "identity", *ENCODINGS})


def foreign_encoding(encoding: str) -> str:
    """Return a ``Content-Encoding`` that nobody undoes on the way; empty for any other."""
    return "" if encoding.lower() in _PLAIN else encoding


def relay_for(i: Interaction, response: Answer, settings: Settings, *, asked: bool) -> Relay:
    """Return the relay of an answer; raise for what can't be one.

    ``asked``: the gateway asked for usage, which the client must not see.
    """
    status = response.status
    endpoint = i.endpoint
    redirects = 300 <= status < 400 and not (status == 304 and endpoint.opaque)
    if status < 200 or redirects or status > 599:
        raise UpstreamProtocol(
            f"The upstream answered with status {status}, which no client expects.", may_have_run=True
        )
    headers = response.headers
    content_type = headers.get("Content-Type", "")
    gate = i.hold and endpoint.carries_calls
    failed = status >= 400
    unread = endpoint.opaque or (failed and not gate)
    if "Content-Encoding" in headers and (encoding := foreign_encoding(headers["Content-Encoding"])):
        if not unread:
            raise UpstreamProtocol(f"The upstream encoded its answer as {encoding!r}.", may_have_run=True)
        i.response_headers["Content-Encoding"] = encoding
    adapter_class = endpoint.response
    if unread:
        return Relay(OpaqueFramer(0), adapter_class(i.request, streamed=False), i.completion)
    if failed:
        return Relay(
            ErrorFramer(settings.event_limit),
            adapter_class(i.request, streamed=False),
            i.completion,
            gate=True,
        )
    if content_type[:9].lower() == "text/html":
        i.ran = False  # whoever wrote that, it was no model
        raise UpstreamProtocol(
            "The upstream answered with a page instead of an API's answer.", may_have_run=True
        )
    if gate and not (_is_utf8(content_type) and len(headers.getall("Content-Type", ())) <= 1):
        # Another character set makes another document of the same bytes.
        raise UpstreamProtocol("The upstream's answer is not declared as UTF-8, once.", may_have_run=True)
    growing = i.streamed and adapter_class.arrays
    framer = framer_for(content_type, settings.event_limit, streamed=growing, newline=adapter_class.newline)
    adapter = adapter_class(i.request, streamed=not framer.whole)
    adapter.hiding = asked and adapter.streamed
    return Relay(framer, adapter, i.completion, gate=gate, hold_limit=settings.hold_limit)


@lru_cache(maxsize=64)
def _is_utf8(content_type: str) -> bool:
    """Whether a ``Content-Type`` says no other character set than UTF-8."""
    lower = content_type.lower()
    return lower.count("charset") == lower.count("charset=") == len(_UTF8.findall(lower))
