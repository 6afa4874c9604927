"""Who calls, and which secret goes upstream; decided on the headers, before the body is read."""

from collections.abc import Mapping, Sequence
from typing import Literal
from urllib.parse import parse_qsl

from gateway.core.errors import BadRequest, NotFound, Unauthorized
from gateway.core.interaction import Credential, Interaction, Principal
from gateway.core.stage import Stage

_LABELS = (("external_agent", "agent-id"), ("user", "user-id"), ("run", "run-id"))
"""What a client may say of itself: fields of the interaction, and headers."""
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
        if i.ours:
            for field, header in _LABELS:
                setattr(i, field, _label(i, header))
            if session := _label(i, "session-id"):
                i.session = (session, "header")
        credential = _credential(i.presented, i.query)
        if self._mode == "required":
            # Virtual keys alone pass, and none of them is known.
            raise Unauthorized("This gateway accepts only its own virtual keys; this key is not one of them.")
        if credential is None and (secret := self._secrets.get(i.provider.name)):
            credential = Credential(secret=secret)
        i.credential = credential

    def _principal(self, i: Interaction) -> Principal:
        named = i.ours.get("agent", "")
        if named and i.agent and named != i.agent:
            raise BadRequest("The URL and the X-Gateway-Agent header name two different agents.")
        name = i.agent or named or self._default
        principal = self._agents.get(name)
        if principal is None:
            raise NotFound(
                f"There is no agent {name[:_LABEL_LENGTH]!r}; the default one is {self._default!r}."
            )
        return principal


def _label(i: Interaction, header: str) -> str:
    """Return one of the client's labels, as text that any log can hold."""
    return i.ours.get(header, "")[:_LABEL_LENGTH].encode("utf-8", "backslashreplace").decode()


def _credential(presented: Sequence[tuple[str, str]], query: str) -> Credential | None:
    """Return the client's own credential, in the very headers in which it came."""
    keys = set()
    for name, value in presented:
        if not value.isascii():
            raise BadRequest(f"The {name} header is not ASCII.")
        scheme, _, rest = value.strip().partition(" ")
        keys.add(rest.strip() if scheme.lower() == "bearer" else value.strip())
    if "key=" in query:
        keys.update(value for name, value in parse_qsl(query) if name == "key")
    keys.discard("")
    if len(keys) > 1:
        raise BadRequest("The request carries two different credentials; send one.")
    # A key in the query goes upstream with the query.
    return Credential(headers=tuple(presented)) if keys else None
