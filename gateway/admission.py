"""What an HTTP request must be before anyone looks at what it says: its target, host, framing and headers.

aiohttp's parser refuses most malformed requests by itself; this refuses what it lets through and what another
parser, or a provider's, could read in another way.
"""

import re
import unicodedata
from urllib.parse import unquote_to_bytes

from aiohttp import HttpVersion11, web

from gateway.core.errors import BadRequest, UpgradeRequired
from gateway.settings import is_loopback

_CACHE_SIZE = 1024
_PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9_@:~-][A-Za-z0-9_.@:~-]*)+/?")
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?)(?::([0-9]{1,5}))?")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})


class Admission:
    """Judges requests by the rules of one bind address."""

    def __init__(self, bind: str, allowed_hosts: tuple[str, ...] = ()) -> None:
        """``allowed_hosts``: the only ``Host`` values accepted; empty: loopback names on a loopback bind, any elsewhere."""
        self._loopback = is_loopback(bind)
        self._allowed = frozenset(host.lower() for host in allowed_hosts)
        self._hosts: dict[str, bool] = {}
        self._names: set[str] = set()

    def check(self, request: web.BaseRequest) -> str:
        """Return the path, still encoded, of a request that may be looked at; raise ``BadRequest`` else."""
        if request.method not in _METHODS:
            raise BadRequest(f"The method {request.method[:16]} is not served here.")
        headers = request.headers
        names = self._names
        for name in headers:
            if name not in names:
                self._check_name(name)
        if "Upgrade" in headers:
            self._check_upgrade(headers["Upgrade"])
        if "Transfer-Encoding" in headers and (
            headers["Transfer-Encoding"].lower() != "chunked" or request.version < HttpVersion11
        ):
            raise BadRequest("The only transfer encoding served is chunked, on HTTP/1.1.")
        self._check_host(headers.get("Host", ""))
        return check_path(request.raw_path.partition("?")[0])

    def _check_name(self, name: str) -> None:
        if not _HEADER_NAME.fullmatch(name):
            raise BadRequest("A header's name has a character other than letters, digits and hyphens.")
        if len(self._names) < _CACHE_SIZE:
            self._names.add(name)

    def _check_upgrade(self, protocol: str) -> None:
        if protocol.lower() == "websocket":
            raise UpgradeRequired("WebSockets are not served here; use HTTPS requests.")
        raise BadRequest("No protocol upgrade is served here.")

    def _check_host(self, host: str) -> None:
        good = self._hosts.get(host)
        if good is None:
            good = self._good_host(host)
            if len(self._hosts) < _CACHE_SIZE:
                self._hosts[host] = good
        if not good:
            raise BadRequest(
                "The Host header is not one that this gateway serves; an operator adds it to allowed_hosts."
            )

    def _good_host(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        if not match or (match[2] and int(match[2]) > 65535):
            return False
        name = match[1].lower().removesuffix(".")
        if self._allowed:
            return host.lower() in self._allowed or name in self._allowed
        return is_loopback(name) if self._loopback else True


def check_path(path: str) -> str:
    """Return a raw path that means the same to every server, or raise ``BadRequest``."""
    if _PLAIN_PATH.fullmatch(path):
        return path
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
    return path
