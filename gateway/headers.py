"""Which headers pass, in both directions: everything but short lists, built anew each time.

Never copied wholesale: a forwarded ``Transfer-Encoding`` is a smuggling primitive.
"""

from multidict import CIMultiDictProxy

Headers = list[tuple[str, str]]

CREDENTIALS = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key"})
"""Headers in which clients send a key; what passes of them is decided by the ``auth`` stage."""

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
        "upgrade",
    }
)
_REQUEST_DROPPED = (
    _HOP_BY_HOP
    | CREDENTIALS
    | {
        "accept-encoding",
        "content-encoding",  # bodies are decoded on the way in
        "content-length",
        "cookie",
        "cookie2",
        "expect",
        "forwarded",
        "host",
        "http2-settings",
        "true-client-ip",
        "via",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-real-ip",
    }
)
_REQUEST_DROPPED_PREFIXES = ("x-gateway-", "x-archestra-", "x-forwarded-", "proxy-", "cf-")
_RESPONSE_DROPPED = _HOP_BY_HOP | {
    "alt-svc",
    "content-encoding",  # bodies are decoded on the way out too
    "content-length",  # set anew where it still holds
    "server",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
}
_RESPONSE_DROPPED_PREFIXES = ("cf-", "x-gateway-")
_CACHE_SIZE = 1024
_NAMING_NONE = ("keep-alive", "Keep-Alive", "close")


class _Names(dict[str, bool]):
    """Whether a header passes, by its name as it is spelt; remembered, within bounds."""

    def __init__(self, dropped: frozenset[str], prefixes: tuple[str, ...]) -> None:
        super().__init__()
        self._dropped = dropped
        self._prefixes = prefixes

    def __missing__(self, name: str) -> bool:
        lower = name.lower()
        passes = lower not in self._dropped and not lower.startswith(self._prefixes)
        if len(self) < _CACHE_SIZE:
            self[name] = passes
        return passes


_goes_up = _Names(_REQUEST_DROPPED, _REQUEST_DROPPED_PREFIXES)
_comes_down = _Names(_RESPONSE_DROPPED, _RESPONSE_DROPPED_PREFIXES)
_IDENTITY = ("Accept-Encoding", "identity")  # frames are read on the way back


def upstream_headers(client: "CIMultiDictProxy[str]") -> Headers:
    """Return the client's headers that go upstream, without any credential."""
    result = [(name, value) for name, value in client.items() if _goes_up[name]]
    if client.get("Connection", "close") not in _NAMING_NONE:
        result = _without_named(result, client.getall("Connection"))
    result.append(_IDENTITY)
    return result


def client_headers(upstream: "CIMultiDictProxy[str]") -> Headers:
    """Return the upstream's headers that the client gets."""
    result = [
        (name, value)
        for name, value in upstream.items()
        if _comes_down[name] and (value.isprintable() or not value)
    ]
    if upstream.get("Connection", "close") not in _NAMING_NONE:
        result = _without_named(result, upstream.getall("Connection"))
    return result


def _without_named(headers: Headers, connection: list[str]) -> Headers:
    """Drop the headers that ``Connection`` declares to be for one hop."""
    named = {name.strip().lower() for value in connection for name in value.split(",")}
    return [(name, value) for name, value in headers if name.lower() not in named]
