"""Who asks: the credential of a request becomes an actor, or a refusal.

A token comes as ``Authorization: Bearer``, a session as a cookie. Tokens are looked up by their keyed hash, so that
neither a stored hash nor the time of a comparison helps anybody. Without a token that opens everything, whoever asks
from this machine may operate; what opens doors (console tokens, providers' keys) takes a real credential always.
"""

import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic

from aiohttp import web

from gateway.console.actors import Actor, Role
from gateway.console.attempts import Attempts
from gateway.console.logins import Logins, presented_session
from gateway.console.refusals import Refusal
from gateway.console.sites import Sites
from gateway.core.snapshot import Snapshots

_FAILURES = 10
"""Wrong tokens of one peer within a minute, before it has to wait."""
_UNKNOWN = Refusal(401, "The token is not one of this console, or it has expired.")
_NEEDED = (
    "This console needs a token: Authorization: Bearer …, the GATEWAY_ADMIN_TOKEN or a console token. Without one"
    " configured it answers on a loopback address only, to requests that come to it straight."
)


class Access:
    """Finds out who sends a request."""

    def __init__(
        self,
        sites: Sites,
        snapshots: Snapshots,
        hash_token: Callable[[str], bytes],
        admin_token: str = "",
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """``hash_token``: the keyed hash under which tokens are stored."""
        self.logins = Logins(clock)
        self._sites = sites
        self._snapshots = snapshots
        self._hash = hash_token
        self._bootstrap = hash_token(admin_token) if admin_token else b""
        self._failures = Attempts(_FAILURES, clock)

    def identify(self, request: web.BaseRequest, host: str, peer: str) -> Actor:
        """Return who sends a request; raise ``Refusal`` for who may not send any."""
        token = _bearer(request)
        session = self.logins.find(presented_session(request, host))
        if token is None and session is None:
            if not self._closed and self._sites.is_local(request, host):
                return Actor("loopback", Role.OPERATE)
            raise Refusal(401, _NEEDED, headers={"WWW-Authenticate": "Bearer"})
        if token is None:
            return self._actor(session or b"") or self._fail()
        digest = self._hash(token)
        if session is not None and not hmac.compare_digest(digest, session):
            raise Refusal(400, "The request carries two different credentials; send one.")
        # Who guesses waits, but for tokens that were made here and can't be guessed: behind a proxy all callers are
        # one peer, and one of them must not be able to lock the others out.
        wait = self._failures.over(peer)
        if actor := self._actor(digest, guessable=not wait):
            return actor
        self._failures.add(peer)
        if wait:
            raise _too_often(wait)
        return self._fail()

    @property
    def _closed(self) -> bool:
        """Whether a token is configured that opens everything; an expired one still is."""
        tokens = self._snapshots.current.console_tokens.values()
        return bool(self._bootstrap) or any(token.role == Role.ADMIN.word for token in tokens)

    def _actor(self, digest: bytes, *, guessable: bool = True) -> Actor | None:
        """Return whose token has this hash; ``guessable``: also the one that an operator chose."""
        snapshot = self._snapshots.current
        if guessable and self._bootstrap and hmac.compare_digest(digest, self._bootstrap):
            return Actor("admin_token", Role.ADMIN, credential=digest)
        if (token := snapshot.console_tokens.get(digest)) and _lasts(token.expires):
            return Actor(f"console_token:{token.id}", Role[token.role.upper()], credential=digest)
        if (key := snapshot.virtual_keys.get(digest)) and _lasts(key.expires) and not key.revoked:
            agent = snapshot.agents.get(key.agent)
            if agent is None:
                raise Refusal(
                    403, "This virtual key belongs to no agent, so there is nothing it may look at."
                )
            return Actor(f"virtual_key:{key.id}", Role.READ, agent.slug, digest)
        return None

    def _fail(self) -> Actor:
        raise Refusal(_UNKNOWN.status, _UNKNOWN.message, headers={"WWW-Authenticate": "Bearer"})


def _lasts(expires: datetime | None) -> bool:
    return expires is None or expires > datetime.now(UTC)


def _too_often(seconds: int) -> Refusal:
    return Refusal(
        429, "Too many wrong tokens came from this address; wait.", headers={"Retry-After": str(seconds)}
    )


def _bearer(request: web.BaseRequest) -> str | None:
    values = request.headers.getall("Authorization", [])
    if not values:
        return None
    scheme, _, token = values[0].strip().partition(" ")
    if len(values) > 1 or scheme.lower() != "bearer" or not token.strip() or not token.isascii():
        raise Refusal(401, "Send one token: Authorization: Bearer …", headers={"WWW-Authenticate": "Bearer"})
    return token.strip()
