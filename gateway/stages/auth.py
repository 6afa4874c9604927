"""Who calls, and which secret goes upstream; decided on the headers, before the body is read.

A client's own credential goes upstream in the very header it came in. A virtual key never does: a stored secret
goes in its place, and everything of the client's that looks like a credential stays here.
"""

import hashlib
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase

from gateway.core.credentials import PREFIX, VIRTUAL_KEY, presented_key, without_credentials
from gateway.core.entities import Agent, Team, User, VirtualKey
from gateway.core.errors import BadRequest, Forbidden, NotFound, Unauthorized
from gateway.core.interaction import Credential, Interaction, Principal
from gateway.core.policies import Guard
from gateway.core.snapshot import Snapshot, Snapshots
from gateway.core.stage import Stage

_LABELS = (("external_agent", "agent-id"), ("user", "user-id"), ("run", "run-id"))
"""What a client may say of itself: fields of the interaction, and headers."""
_LABEL_LENGTH = 256
_NO = frozenset({"", "false", "0", "no", "off"})
_READING = frozenset({"GET", "HEAD"})
_OWN_SITES = frozenset({"none", "same-origin"})
"""What browsers say of requests that no other site's page makes."""


class Auth(Stage):
    """Resolves the principal and the credential of a request."""

    def __init__(self, snapshots: Snapshots, digest: Callable[[str], bytes]) -> None:
        """``digest``: the keyed hash under which virtual keys are known."""
        self._snapshots = snapshots
        self._digest = digest
        self._snapshot = snapshots.current
        # What was found out under this snapshot; only what exists is remembered. Keys by a plain hash of the
        # whole key, which is cheaper than the keyed one.
        self._keys: dict[bytes, VirtualKey] = {}
        self._principals: dict[tuple[str, str], tuple[Principal, Guard]] = {}

    async def on_headers(self, i: Interaction) -> None:
        """Set ``principal``, ``credential`` and the labels; raise for a caller who may not pass."""
        snapshot = self._snapshots.current
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._keys, self._principals = {}, {}
        key = presented_key(i.presented, i.query)
        if key.startswith(PREFIX):
            virtual = self._find(key, i.started_at)
            i.principal, i.guard = self._known(_agent(snapshot, i, virtual), virtual)
            if virtual.providers and i.provider.name not in virtual.providers:
                raise Forbidden(
                    f"This virtual key is not for {i.provider.display_name}; it is for {_listed(virtual.providers)}."
                )
            if not virtual.stored and i.provider.keeps(i.endpoint):
                raise Forbidden(
                    "This endpoint reaches what is kept at the provider, which all virtual keys would share; "
                    "a virtual key with stored = true may."
                )
            _lend(snapshot, i)
            if i.credential is None:
                raise Forbidden(
                    f"This gateway has no key for {i.provider.display_name} to use in place of a virtual key; "
                    "an operator sets one in its environment or on the console."
                )
        elif snapshot.auth == "required":
            raise Unauthorized("This gateway accepts only its own virtual keys; this key is not one of them.")
        else:
            i.principal, i.guard = self._known(_agent(snapshot, i, _NO_KEY), _NO_KEY)
            if key:
                i.credential = Credential(headers=tuple(i.presented), key=key)
            elif snapshot.auth == "open":
                _refuse_web_pages(i)
                _lend(snapshot, i)
        i.context_untrusted = i.principal.context_untrusted
        if i.ours:
            _take_labels(i)
        i.user = i.principal.user or i.user

    async def on_request(self, i: Interaction) -> None:
        """Refuse a model that the virtual key is not for; only the body says which it is."""
        models = i.principal.models if i.principal else ()
        if not models or i.source == "dual_llm":  # whose model the settings say
            return
        if not i.endpoint.opaque:
            i.request.require_unique_members()
            asked = (i.request.model, *i.request.other_models)
            other = next((a for a in asked if not any(fnmatchcase(a, model) for model in models)), None)
            if other is None:
                return
            what = f"the model {other[:_LABEL_LENGTH]!r}"
        elif i.endpoint.method in _READING:
            return
        else:
            what = "this endpoint, whose model the gateway can't see"
        raise Forbidden(f"This virtual key is not for {what}; it is for {_listed(models)}.")

    def _find(self, key: str, now: float) -> VirtualKey:
        """Return what is known of a virtual key that still holds."""
        if not VIRTUAL_KEY.fullmatch(key):
            raise Unauthorized(_UNKNOWN)
        whole = hashlib.sha256(key.encode()).digest()
        virtual = self._keys.get(whole)
        if virtual is None:
            virtual = self._snapshot.virtual_keys.get(self._digest(key))
            if virtual is None:
                raise Unauthorized(_UNKNOWN)
            self._keys[whole] = virtual
        if virtual.revoked:
            raise Unauthorized("This virtual key was revoked.")
        if virtual.expires is not None and virtual.expires.timestamp() <= now:
            raise Unauthorized(f"This virtual key expired at {virtual.expires.isoformat()}.")
        return virtual

    def _known(self, agent: Agent, virtual: VirtualKey) -> tuple[Principal, Guard]:
        """Return who calls, and the policies that apply to them."""
        known = self._principals.get((agent.slug, virtual.hash))
        if known is None:
            snapshot = self._snapshot
            user = snapshot.users.get(virtual.user)
            team = virtual.team or agent.team
            teams = snapshot.team_names((team, agent.team, user.team if user else ""))
            principal = Principal(
                agent=agent.slug,
                user=_slug(snapshot.users, virtual.user),
                team=_slug(snapshot.teams, team),
                team_names=teams,
                agent_id=agent.id,
                agent_name=agent.name,
                virtual_key=virtual.id,
                labels=agent.labels,
                context_untrusted=agent.context_untrusted,
                models=virtual.models,
            )
            known = self._principals[agent.slug, virtual.hash] = (principal, snapshot.guard(agent, teams))
        return known


def _refuse_web_pages(i: Interaction) -> None:
    """Lend nothing to a page of another site in a browser on this machine, which reaches loopback as well as we do."""
    if i.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITES:
        raise Forbidden("A web page of another site may not use this gateway's own keys.")


def _lend(snapshot: Snapshot, i: Interaction) -> None:
    """Let the operator's own key go upstream, and nothing of the client's beside it."""
    if secret := snapshot.secrets.get(i.provider.name):
        i.credential = Credential(secret=secret)
        i.query = without_credentials(i.query)


def _agent(snapshot: Snapshot, i: Interaction, virtual: VirtualKey) -> Agent:
    """Return the agent that the URL, a header or the key names, which must all mean the same one."""
    names = [name for name in (i.agent, i.ours.get("agent", "")) if name]
    found = [snapshot.agents.get(name) for name in names or [virtual.agent or snapshot.default_agent]]
    agent = found[0]
    if virtual.agent and agent is not snapshot.agents.get(virtual.agent):
        raise BadRequest("This virtual key belongs to another agent than the URL or a header names.")
    if agent is not found[-1]:
        raise BadRequest("The URL and the X-Gateway-Agent header name two different agents.")
    if agent is None and not names and virtual.agent:
        raise Forbidden("The agent of this virtual key is not there any more.")
    if agent is None:
        raise NotFound(
            f"There is no agent {names[0][:_LABEL_LENGTH]!r}; the default one is {snapshot.default_agent!r}."
        )
    return agent


def _slug(named: Mapping[str, Team] | Mapping[str, User], reference: str) -> str:
    """Return the slug of what a reference names; what nobody made is a name all the same."""
    found = named.get(reference)
    return found.slug if found else reference


def _take_labels(i: Interaction) -> None:
    """Note what a client says of itself."""
    for field, header in _LABELS:
        setattr(i, field, _label(i, header))
    if session := _label(i, "session-id"):
        i.session = (session, "header")
    if i.ours.get("untrusted-context", "").strip().lower() not in _NO:
        i.context_untrusted = True


def _label(i: Interaction, header: str) -> str:
    """Return one of the client's labels, as text that any log can hold."""
    return i.ours.get(header, "")[:_LABEL_LENGTH].encode("utf-8", "backslashreplace").decode()


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)


_NO_KEY = VirtualKey()
_UNKNOWN = "This virtual key is not one of this gateway's."
