"""Who calls, and which secret goes upstream; decided on the headers, before the body is read."""

from collections.abc import Mapping
from typing import Literal
from urllib.parse import parse_qsl

from gateway.core.errors import BadRequest, NotFound, Unauthorized
from gateway.core.interaction import Credential, Interaction, Principal
from gateway.core.stage import Stage

_CARRIERS = ("Authorization", "x-api-key", "api-key", "x-goog-api-key")
"""Every header in which a vendor's client sends its key."""
_LABELS = (
    ("external_agent", ("X-Gateway-Agent-Id", "X-Archestra-Agent-Id")),
    ("user", ("X-Gateway-User-Id", "X-Archestra-User-Id")),
    ("run", ("X-Gateway-Run-Id", "X-Archestra-Run-Id")),
)
_SESSIONS = ("X-Gateway-Session-Id", "X-Archestra-Session-Id")
_LABEL_LENGTH = 256


class Auth(Stage):
    """Resolves the principal and the credential of a request."""

    def __init__(
        self,
        mode: Literal["passthrough", "required", "open"],
        secrets: Mapping[str, str],
        default_agent: str = "default",
    ) -> None:
        """``secrets``: the operator's own keys by provider, lent in ``open`` mode to whoever brings none."""
        self._mode = mode
        self._secrets = secrets if mode == "open" else {}
        self._agents = {default_agent: Principal(agent=default_agent)}
        self._default = default_agent

    async def on_headers(self, i: Interaction) -> None:
        """Set ``principal``, ``credential`` and the labels; raise for a caller who may not pass."""
        i.principal = self._principal(i)
        for name, headers in _LABELS:
            if label := _first(i.headers, headers):
                setattr(i, name, label)
        if session := _first(i.headers, _SESSIONS):
            i.session = (session, "header")
        credential = _presented(i)
        if self._mode == "required":
            # Virtual keys alone pass, and none of them is known.
            raise Unauthorized("This gateway accepts only its own virtual keys; this key is not one of them.")
        if credential is None and (secret := self._secrets.get(i.provider.name)):
            credential = Credential(secret=secret)
        i.credential = credential

    def _principal(self, i: Interaction) -> Principal:
        named = i.headers.get("X-Gateway-Agent", "")
        if named and i.agent and named != i.agent:
            raise BadRequest("The URL and the X-Gateway-Agent header name two different agents.")
        name = i.agent or named or self._default
        principal = self._agents.get(name)
        if principal is None:
            raise NotFound(
                f"There is no agent {name[:_LABEL_LENGTH]!r}; the default one is {self._default!r}."
            )
        return principal


def _first(headers: Mapping[str, str], names: tuple[str, ...]) -> str:
    for name in names:
        if value := headers.get(name):
            return value[:_LABEL_LENGTH]
    return ""


def _presented(i: Interaction) -> Credential | None:
    """Return the client's own credential, in the very headers in which it came."""
    found: list[tuple[str, str]] = []
    keys = set()
    for name in _CARRIERS:
        if name not in i.headers:
            continue
        # A mapping of headers holds a repeated one several times.
        values = getattr(i.headers, "getall", None)
        for value in values(name) if values else (i.headers[name],):
            if not value.isascii():
                raise BadRequest(f"The {name} header is not ASCII.")
            found.append((name, value))
            keys.add(value.removeprefix("Bearer ").strip())
    if "key=" in i.query:
        keys.update(value for name, value in parse_qsl(i.query) if name == "key")
    if len(keys) > 1:
        raise BadRequest("The request carries two different credentials; send one.")
    # A key in the query goes upstream with the query.
    return Credential(headers=tuple(found)) if keys else None
