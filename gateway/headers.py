"""What each header means here, in both directions: everything passes but short lists, built anew each time.

Never copied wholesale: a forwarded ``Transfer-Encoding`` is a smuggling primitive.
"""

import re

from multidict import CIMultiDictProxy

from gateway.core.credentials import PREFIX, holds_virtual_key
from gateway.core.errors import BadRequest

Headers = list[tuple[str, str]]

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
_REQUEST_DROPPED = _HOP_BY_HOP | {
    "accept-encoding",
    "content-length",
    "cookie",
    "cookie2",
    "forwarded",
    "http2-settings",
    "true-client-ip",
    "via",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-real-ip",
}
_REQUEST_DROPPED_PREFIXES = ("x-forwarded-", "proxy-", "cf-")
_OURS = ("x-gateway-", "x-archestra-")
"""Prefixes of the headers that are for the gateway; the second is an alias."""
_CREDENTIALS = frozenset({"authorization", "api-key", "x-auth-token", "ocp-apim-subscription-key"})
_CREDENTIAL_SUFFIX = "-api-key"
"""Headers in which clients send a key; what passes of them is decided by the ``auth`` stage."""
_READ = frozenset({"connection", "content-encoding", "expect", "host", "transfer-encoding", "upgrade"})
"""Headers that the gateway itself acts on; none passes as it is."""
_RESPONSE_DROPPED = _HOP_BY_HOP | {
    "alt-svc",
    "content-encoding",  # bodies are decoded on the way
    "content-length",  # set anew where it still holds
    "server",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
}
_RESPONSE_DROPPED_PREFIXES = ("cf-", "x-gateway-")
_NAME = re.compile(r"[A-Za-z0-9-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_CACHE_SIZE = 1024
_NAMING_NONE = ("keep-alive", "Keep-Alive", "close")
_IDENTITY = ("Accept-Encoding", "identity")  # frames are read on the way back

_ALIAS = "alias:"
_PASS, _DROP, _CREDENTIAL = ":pass", ":drop", ":credential"  # no header's name has a colon


class _Meanings(dict[str, str]):
    """What a request's header means, by its name as it is spelt; remembered, within bounds.

    Either one of the three constants above, or the name under which the gateway itself reads the value.
    """

    def __missing__(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise BadRequest("A header's name has a character other than letters, digits and hyphens.")
        lower = name.lower()
        meaning = _PASS
        if lower in _CREDENTIALS or lower.endswith(_CREDENTIAL_SUFFIX):
            meaning = _CREDENTIAL
        elif lower in _READ:
            meaning = lower
        elif lower.startswith(_OURS):
            meaning = lower.removeprefix(_OURS[0])
            if lower.startswith(_OURS[1]):
                meaning = _ALIAS + lower.removeprefix(_OURS[1])
        elif lower in _REQUEST_DROPPED or lower.startswith(_REQUEST_DROPPED_PREFIXES):
            meaning = _DROP
        if len(self) < _CACHE_SIZE:
            self[name] = meaning
        return meaning


class _ComesDown(dict[str, bool]):
    """Whether an answer's header passes, by its name as it is spelt."""

    def __missing__(self, name: str) -> bool:
        lower = name.lower()
        passes = lower not in _RESPONSE_DROPPED and not lower.startswith(_RESPONSE_DROPPED_PREFIXES)
        if len(self) < _CACHE_SIZE:
            self[name] = passes
        return passes


_meanings = _Meanings()
_comes_down = _ComesDown()


class RequestHeaders:
    """A request's headers, sorted by what they mean; raises ``BadRequest`` for a name that is none."""

    __slots__ = ("credentials", "ours", "read", "up")

    def __init__(self, client: "CIMultiDictProxy[str]") -> None:
        self.up: Headers = []
        """Those that go upstream."""
        self.credentials: Headers = []
        """Those that may carry a key."""
        self.read: dict[str, str] = {}
        """Those that the gateway itself reads, by name in lower case; a repeated one joined by commas."""
        self.ours: dict[str, str] = {}
        """Those that are for the gateway, by name in lower case without the prefix."""
        meanings, up, read = _meanings, self.up, self.read
        for name, value in client.items():
            meaning = meanings[name]
            if meaning is _PASS:
                if (value.isprintable() or not _CONTROL.search(value)) and (
                    PREFIX not in value  # nearly always, and it spares a call for each
                    or not holds_virtual_key(value)
                ):
                    up.append((name, value))
            elif meaning is _CREDENTIAL:
                self.credentials.append((name, value))
            elif meaning in _READ:
                read[meaning] = f"{read[meaning]},{value}" if meaning in read else value
            elif meaning is not _DROP:
                self._take_ours(meaning, value)
        connection = read.get("connection", "close")
        if connection not in _NAMING_NONE:
            self.up = up = _without_named(up, connection)
        up.append(_IDENTITY)

    def _take_ours(self, meaning: str, value: str) -> None:
        if meaning.startswith(_ALIAS):
            self.ours.setdefault(meaning.removeprefix(_ALIAS), value)
        else:
            self.ours[meaning] = value


def client_headers(upstream: "CIMultiDictProxy[str]") -> Headers:
    """Return the upstream's headers that the client gets."""
    result = [
        (name, value)
        for name, value in upstream.items()
        if _comes_down[name] and (value.isprintable() or not _CONTROL.search(value))
    ]
    if upstream.get("Connection", "close") not in _NAMING_NONE:
        result = _without_named(result, ",".join(upstream.getall("Connection")))
    return result


def _without_named(headers: Headers, connection: str) -> Headers:
    """Drop the headers that ``Connection`` declares to be for one hop."""
    named = {name.strip().lower() for name in connection.split(",")}
    return [(name, value) for name, value in headers if name.lower() not in named]
