"""What an HTTP request must be before anyone looks at what it says: its target, host and framing.

aiohttp's parser refuses most malformed requests by itself; this refuses what it lets through and what another
parser, or a provider's, could read in another way.
"""

import re
import unicodedata
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from aiohttp import HttpVersion11, web

from gateway.core.errors import BadRequest, UpgradeRequired
from gateway.settings import is_loopback

_CACHE_SIZE = 1024
_PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9_@:~-][A-Za-z0-9_.@:~-]*)+/?")
_VALUE = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?)(?::([0-9]{1,5}))?")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})


class Admission:
    """Judges requests by the rules of one bind address."""

    def __init__(self, bind: str, allowed_hosts: tuple[str, ...] = ()) -> None:
        """``allowed_hosts``: the only ``Host`` values accepted; empty: loopback names on a loopback bind, any elsewhere."""
        self._loopback = is_loopback(bind)
        self._allowed = frozenset(host.lower() for host in allowed_hosts)
        self._hosts: dict[str, bool] = {}

    def check(self, request: web.BaseRequest, path: str, read: Mapping[str, str]) -> None:
        """Raise ``BadRequest`` for a request that must not be looked at.

        ``path``: still encoded, without the query; ``read``: the headers that the gateway itself reads.
        """
        check_framing(request, read)
        host = read.get("host", "")
        if not (self._hosts.get(host) or self._good_host(host)):
            raise BadRequest(
                "The Host header is not one that this gateway serves; an operator adds it to allowed_hosts."
            )
        check_path(path)

    def _good_host(self, host: str) -> bool:
        name = host_name(host)
        if not name:
            return False
        if self._allowed:
            good = host.lower() in self._allowed or name in self._allowed
        else:
            good = is_loopback(name) or not self._loopback
        if good and len(self._hosts) < _CACHE_SIZE:
            self._hosts[host] = True
        return good


def check_framing(request: web.BaseRequest, read: Mapping[str, str]) -> None:
    """Raise ``BadRequest`` for a method, or for framing, that another server may read in another way."""
    if request.method not in _METHODS:
        raise BadRequest(f"The method {request.method[:16]} is not served here.")
    if "upgrade" in read:
        if read["upgrade"].lower() == "websocket":
            raise UpgradeRequired("WebSockets are not served here; use HTTPS requests.")
        raise BadRequest("No protocol upgrade is served here.")
    if "transfer-encoding" in read and (
        read["transfer-encoding"].lower() != "chunked" or request.version < HttpVersion11
    ):
        raise BadRequest("The only transfer encoding served is chunked, on HTTP/1.1.")
    if read.get("expect", "100-continue").lower() != "100-continue":
        raise BadRequest("The only expectation served is 100-continue.")


def host_name(host: str) -> str:
    """Return the name in a ``Host`` header, in lower case; empty: the header is malformed."""
    match = _HOST.fullmatch(host)
    if not match or (match[2] and int(match[2]) > 65535):
        return ""
    return match[1].lower().removesuffix(".")


def is_value(segment: str) -> bool:
    """Whether a raw segment stands for one text, whatever that holds: for who decodes it once, and only looks it up."""
    if not _VALUE.fullmatch(segment):
        return False
    try:
        unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        return False
    return True


def check_path(path: str) -> None:
    """Raise ``BadRequest`` for a raw path that two servers may read in different ways."""
    if _PLAIN_PATH.fullmatch(path):
        return
    if not path.startswith("/"):
        raise BadRequest("The request target must be a path.")
    decoded = unquote_to_bytes(path)
    try:
        text = decoded.decode()
    except UnicodeDecodeError:
        raise BadRequest("The path is not UTF-8.") from None
    lower = path.lower()
    if (
        "%2f" in lower
        or "%5c" in lower
        or "%25" in lower
        or "\\" in path
        or "//" in path
        or ";" in text
        or "#" in path
    ):
        raise BadRequest(
            "The path has an encoded slash, a backslash, an empty segment, a semicolon or a fragment."
        )
    if any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in text):
        raise BadRequest("The path has a control character.")
    if any(
        unicodedata.normalize("NFKC", part).strip() in (".", "..", "...") for part in text.split("/")
    ) or text.endswith("/."):
        raise BadRequest("The path has a dot segment.")
