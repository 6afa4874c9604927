"""Who calls, and which secret goes upstream; decided on the headers, before the body is read."""

from collections.abc import Mapping
from typing import Literal
from urllib.parse import parse_qsl

from gateway.core.errors import BadRequest, NotFound, Unauthorized
from gateway.core.interaction import Credential, Interaction, Principal
from gateway.core.stage import Stage

_CREDENTIALS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
"""Every header in which a vendor's client sends its key."""
_LABELS = {"agent-id": "external_agent", "user-id": "user", "run-id": "run", "session-id": "session"}
_PREFIXES = ("x-gateway-", "x-archestra-")
_CREDENTIAL = "credential"
_LABEL_LENGTH = 256
_CACHE_SIZE = 1024


class _Meanings(dict[str, str]):
    """What a header means here, by its name as it is spelt: a credential, a label, or nothing."""

    def __missing__(self, name: str) -> str:
        lower = name.lower()
        meaning = _CREDENTIAL if lower in _CREDENTIALS else ""
        for prefix in _PREFIXES:
            if lower.startswith(prefix):
                meaning = _LABELS.get(lower.removeprefix(prefix), "")
        if len(self) < _CACHE_SIZE:
            self[name] = meaning
        return meaning


_meanings = _Meanings()


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
        presented: list[tuple[str, str]] = []
        for name, value in i.headers.items():
            if meaning := _meanings[name]:
                if meaning is _CREDENTIAL:
                    presented.append((name, value))
                else:
                    _label(i, meaning, name, value)
        credential = _credential(presented, i.query)
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


def _label(i: Interaction, meaning: str, name: str, value: str) -> None:
    """Note one of the client's labels; ours counts before its alias."""
    if getattr(i, meaning) and not name.lower().startswith(_PREFIXES[0]):
        return
    value = value[:_LABEL_LENGTH]
    if meaning == "session":
        i.session = (value, "header")
    else:
        setattr(i, meaning, value)


def _credential(presented: list[tuple[str, str]], query: str) -> Credential | None:
    """Return the client's own credential, in the very headers in which it came."""
    keys = set()
    for name, value in presented:
        if not value.isascii():
            raise BadRequest(f"The {name} header is not ASCII.")
        keys.add(value.removeprefix("Bearer ").strip())
    if "key=" in query:
        keys.update(value for name, value in parse_qsl(query) if name == "key")
    if len(keys) > 1:
        raise BadRequest("The request carries two different credentials; send one.")
    # A key in the query goes upstream with the query.
    return Credential(headers=tuple(presented)) if keys else None
