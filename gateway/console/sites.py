"""From where a request may come: a browser runs anybody's pages beside ours, and believes anybody's names.

The ``Host`` must be one of our own, or a page whose name was pointed at our address (DNS rebinding) could read all.
Nothing is served to pages of other sites, and what changes something takes a content type that no form can send.
"""

from aiohttp import HttpVersion11, web

from gateway.admission import host_name
from gateway.console.refusals import Refusal
from gateway.settings import is_loopback

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_FORWARDED = ("forwarded", "via", "true-client-ip", "x-client-ip", "x-cluster-client-ip", "x-real-ip")
_FORWARDED_PREFIXES = ("x-forwarded-", "cf-")
_OURS = ("same-origin", "none")  # none: typed in, or a bookmark
SESSION_HEADER = "X-Gateway-Console"
"""A header that only a page of ours can send with a session's cookie; its value does not matter."""


class Sites:
    """The hosts of one bind address."""

    def __init__(self, bind: str, names: tuple[str, ...] = ()) -> None:
        """``names``: other hosts under which the console is reached, as a reverse proxy's."""
        self._bound_to_loopback = is_loopback(bind)
        self._names = frozenset({*_LOOPBACK, _host(bind), *(name.lower() for name in names)})

    def check_host(self, request: web.BaseRequest, host: str) -> None:
        """Raise ``Refusal`` for a name that is not ours."""
        if not (name := host_name(host)):
            raise Refusal(400, "The Host header is not well-formed.")
        if name in self._names or host.lower() in self._names or name == _own_address(request):
            return
        raise Refusal(
            403,
            "The Host header names another host than this console; an operator adds it to console_hosts"
            " (GATEWAY_CONSOLE_HOSTS).",
        )

    def is_local(self, request: web.BaseRequest, host: str) -> bool:
        """Whether a request comes from this machine, straight: behind a proxy, anybody's seems to."""
        return (
            self._bound_to_loopback
            and is_loopback(host_name(host) or "")
            and request.version >= HttpVersion11  # proxies that say nothing of themselves tend to speak 1.0
            and not any(_tells_of_a_proxy(name.lower()) for name in request.headers)
        )


def check_site(request: web.BaseRequest, host: str, *, write: bool, session: bool) -> None:
    """Raise ``Refusal`` for what a page of another site sends.

    ``write``: the request changes something; ``session``: it comes with a cookie, which browsers add by themselves.
    """
    headers = request.headers
    origin = headers.get("Origin")
    if headers.get("Sec-Fetch-Site", "none") not in _OURS or (
        origin is not None and origin.lower().partition("://")[2] != host.lower()
    ):
        raise Refusal(403, "The console serves no pages of other sites.")
    if not write:
        return
    if session and SESSION_HEADER not in headers:
        raise Refusal(403, f"A change with a session's cookie needs the header {SESSION_HEADER}: 1.")
    if request.method != "DELETE" or request.body_exists:
        kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refusal(415, "A change is sent as JSON: Content-Type: application/json.")


def _tells_of_a_proxy(header: str) -> bool:
    return header in _FORWARDED or header.startswith(_FORWARDED_PREFIXES)


def _host(address: str) -> str:
    return f"[{address}]".lower() if ":" in address and not address.startswith("[") else address.lower()


def _own_address(request: web.BaseRequest) -> str:
    """Return the address at which the request arrived, for a console that is bound to all of them."""
    name = request.transport.get_extra_info("sockname") if request.transport else None
    return _host(name[0].removeprefix("::ffff:")) if isinstance(name, tuple) else ""
