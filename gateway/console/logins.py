"""Sessions: what a browser holds in place of a token, for twelve hours at most.

The cookie is random and says nothing; what it stands for is kept here, in memory, so that ending a session ends it,
and so does taking the token away. A session has what its token has at the moment, no more.
"""

import hashlib
import secrets
from collections.abc import Callable

import msgspec
from aiohttp import web

from gateway.admission import host_name
from gateway.console.actors import Role
from gateway.console.refusals import Refusal
from gateway.console.routes import Call, Reply, Route
from gateway.settings import is_loopback

_LIFE = 12 * 3600.0
_MOST = 1000
_SECURE = "__Host-gateway-session"
_PLAIN = "gateway-session"
"""On this machine alone there may be no TLS, without which browsers keep no cookie of the other name."""


class Logins:
    """The sessions that are open."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sessions: dict[bytes, tuple[bytes, float]] = {}
        """The hash of the token and the end, by the hash of the cookie."""

    def begin(self, credential: bytes) -> str:
        """Return a new cookie that stands for the token with this hash."""
        if len(self._sessions) >= _MOST:
            del self._sessions[next(iter(self._sessions))]
        cookie = secrets.token_urlsafe(32)
        self._sessions[_digest(cookie)] = credential, self._clock() + _LIFE
        return cookie

    def find(self, cookie: str) -> bytes | None:
        """Return the hash of the token that a cookie stands for."""
        credential, end = self._sessions.get(_digest(cookie), (None, 0.0))
        return credential if end > self._clock() else None

    def end(self, cookie: str) -> None:
        """Make a cookie worthless."""
        self._sessions.pop(_digest(cookie), None)

    def routes(self) -> list[Route]:
        """Return the routes by which a browser comes and goes."""
        path = "/api/session"
        return [
            Route(
                method="GET", path=path, role=Role.READ, handle=_tell, scoped=True, answer=Caller,
                summary="Who the caller is.",
            ),
            Route(
                method="POST", path=path, role=Role.READ, handle=self._begin, status=201, answer=Caller,
                summary="Exchange the bearer token for a cookie.",
            ),
            Route(
                method="DELETE", path=path, role=Role.READ, handle=self._end, answer=Caller,
                summary="End the cookie's session.",
            ),
        ]  # fmt: skip

    async def _begin(self, call: Call) -> Reply:
        if not call.actor.credential:
            raise Refusal(400, "There is no token to exchange: whoever is on this machine needs none.")
        cookie = self.begin(call.actor.credential)
        return Reply(await _tell(call), {"Set-Cookie": cookie_header(call.host, cookie)})

    async def _end(self, call: Call) -> Reply:
        self.end(call.cookie)
        return Reply(await _tell(call), {"Set-Cookie": cookie_header(call.host, "")})


class Caller(msgspec.Struct, frozen=True):
    """Who asks, and what they may do."""

    name: str
    role: str
    agent: str | None
    """The only agent whose data they see; null: everybody's."""


async def _tell(call: Call) -> Caller:
    return Caller(call.actor.name, call.actor.role.word, call.actor.agent)


def presented_session(request: web.BaseRequest, host: str) -> str:
    """Return the cookie that a browser sends; empty: none.

    Elsewhere than on this machine only the secure one counts: a neighbour in the same domain could set the other.
    """
    return request.cookies.get(_cookie_name(host), "")


def cookie_header(host: str, cookie: str) -> str:
    """Return the ``Set-Cookie`` for a session; for an empty cookie, the one that removes it."""
    name = _cookie_name(host)
    secure = "; Secure" if name == _SECURE else ""
    life = int(_LIFE) if cookie else 0
    return f"{name}={cookie}; Path=/; Max-Age={life}; HttpOnly; SameSite=Strict{secure}"


def _cookie_name(host: str) -> str:
    return _PLAIN if is_loopback(host_name(host)) else _SECURE


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", "surrogateescape")).digest()
