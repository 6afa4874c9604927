"""What is set up through the API: one set of routes for each kind of entity, all alike.

What the gateway itself sets (ids, hashes) is no field of a request, so nobody can set it. Rows of the configuration
file are shown and never changed. The secret of a key or token is shown once, in the answer that makes it.
"""

import re
import secrets
from collections.abc import Iterator, Mapping
from time import time
from typing import Any

import msgspec
import structlog

from gateway.console.actors import Role
from gateway.console.data import Data
from gateway.console.refusals import Refusal, not_found
from gateway.console.routes import Call, Reply, Route
from gateway.console.shapes import Listed
from gateway.core.credentials import PREFIX
from gateway.core.entities import KINDS, OVER, SLUG, Entity, is_over
from gateway.core.interaction import new_id
from gateway.secrets import HINTED, Keyring, new_virtual_key
from gateway.settings import UNENFORCED
from gateway.storage.queries import entities, state
from gateway.storage.queries.filter import InvalidCursor

_ROLES = {"console_tokens": (Role.ADMIN, Role.ADMIN)}
"""Who may look, and who may change; those that are not here take ``READ`` and ``OPERATE``."""
_ELSEWHERE = frozenset({"provider_secrets"})
_HIDDEN = frozenset({"hash", "ciphertext"})
_FIXED = frozenset({"slug"})
"""Names by which other things, and what was recorded, know an entity."""
_DECLARED, _CREATED = "-", "~"
"""How a cursor begins that is among the rows of the file, and one that is beyond them; no id does."""
_CURSOR = re.compile(rf"{_DECLARED}{SLUG.pattern}|{_CREATED}(?:{SLUG.pattern})?")
_IN_VAIN = "kept, but NOT enforced by this version"

_log = structlog.get_logger()


def new_console_token() -> str:
    """Return a console token of 256 random bits; the proxy forwards none, since it begins as a virtual key does."""
    return f"{PREFIX}console_{secrets.token_urlsafe(32)}"


_SECRETS = {"virtual_keys": new_virtual_key, "console_tokens": new_console_token}
_HINT = {"virtual_keys": HINTED, "console_tokens": len("console_") + HINTED}


class EntityRoutes:
    """Lists, creates, reads, changes and deletes entities of one kind."""

    def __init__(self, kind: str, data: Data, keyring: Keyring) -> None:
        self._kind = kind
        self._data = data
        self._keyring = keyring
        self._type = KINDS[kind]

    def routes(self) -> list[Route]:
        """Return the routes."""
        look, change = _ROLES.get(self._kind, (Role.READ, Role.OPERATE))
        path = f"/api/{self._kind.replace('_', '-')}"
        noun = self._kind.replace("_", " ")
        shown = _shape(self._type, f"Shown{self._type.__name__}", without=_HIDDEN)
        page = msgspec.defstruct(f"{self._type.__name__}Page", [("items", list[shown]), ("next", str | None)])  # type: ignore[valid-type]  # made here
        minted = shown
        if self._kind in _SECRETS:
            minted = msgspec.defstruct(
                f"Minted{self._type.__name__}", [("secret", str)], bases=(shown,), kw_only=True
            )
        ours = self._type.given | self._type.minted
        new = _shape(self._type, f"New{self._type.__name__}", without=ours)
        changes = _shape(
            self._type, f"{self._type.__name__}Changes", without=ours | _FIXED, all_optional=True
        )
        return [
            Route(
                method="GET", path=path, role=look, handle=self._list, query=Listed, answer=page,
                summary=f"All {noun}: those of the file first.",
            ),
            Route(
                method="POST", path=path, role=change, handle=self._create, body=new, status=201, answer=minted,
                summary=f"Create one of {noun}.",
            ),
            Route(
                method="GET", path=f"{path}/{{id}}", role=look, handle=self._read, answer=shown,
                summary=f"One of {noun}.",
            ),
            Route(
                method="PATCH", path=f"{path}/{{id}}", role=change, handle=self._update, body=changes, answer=shown,
                summary=f"Change one of {noun}.",
            ),
            Route(
                method="DELETE", path=f"{path}/{{id}}", role=change, handle=self._delete,
                summary=f"Delete one of {noun}.",
            ),
        ]  # fmt: skip

    async def _list(self, call: Call) -> Any:
        query: Listed = call.query
        after, limit = _DECLARED if query.after is None else query.after, query.limit
        if query.after is not None and not _CURSOR.fullmatch(after):
            raise Refusal(400, f"{InvalidCursor()}.", "after")
        items: list[Entity] = []
        if after.startswith(_DECLARED):
            last = after.removeprefix(_DECLARED)
            declared = [row for row in self._data.declared(self._kind) if row.id > last]
            items, after = declared[:limit], _CREATED
            if len(declared) >= limit:
                following = _DECLARED + items[-1].id if len(declared) > limit else _CREATED
                return {"items": [_shown(item) for item in items], "next": following}
        async with self._data.read() as connection:
            rows, following_id = await entities.page(
                connection, self._kind, self._type, limit - len(items), after.removeprefix(_CREATED) or None
            )
        shown = [_shown(item) for item in (*items, *rows)]
        return {"items": shown, "next": following_id and _CREATED + following_id}

    async def _read(self, call: Call) -> Any:
        if declared := self._declared(call.params["id"]):
            return _shown(declared)
        async with self._data.read() as connection:
            return _shown(await self._find(connection, call.params["id"]))

    async def _create(self, call: Call) -> Any:
        values = msgspec.structs.asdict(call.body)
        secret = ""
        if self._kind in _SECRETS:
            secret = _SECRETS[self._kind]()
            values |= {"hash": self._keyring.hash(secret), "hint": secret[: _HINT[self._kind]]}
        entity = self._type(**values, id=new_id(time()))
        self._check(entity, values)
        async with self._data.write() as connection:
            await entities.create(connection, self._kind, entity, call.actor.name, call.peer)
        return self._changed(_shown(entity) | ({"secret": secret} if secret else {}))

    async def _update(self, call: Call) -> Any:
        self._refuse_declared(call.params["id"])
        changes = {name: value for name, value in _given(call.body) if value is not msgspec.UNSET}
        async with self._data.write() as connection:
            await state.increase(connection, "version", 0)  # in line: nobody changes it after it is read here
            before = await self._find(connection, call.params["id"])
            if getattr(before, "revoked", False) and changes.get("revoked") is False:
                raise Refusal(
                    409, "A revocation is final: create a new key in the place of this one.", "revoked"
                )
            entity = msgspec.structs.replace(before, **changes)
            self._check(entity, changes)
            await entities.update(connection, self._kind, entity, call.actor.name, call.peer)
        return self._changed(_shown(entity))

    async def _delete(self, call: Call) -> None:
        self._refuse_declared(call.params["id"])
        async with self._data.write() as connection:
            found = await self._find(connection, call.params["id"])
            await entities.delete(connection, self._kind, found.id, call.actor.name, call.peer)

    def _changed(self, value: dict[str, Any]) -> Any:
        """Answer a change, and say so if nothing acts on it yet: nobody must count on it in vain."""
        if self._kind not in UNENFORCED:
            return value
        _log.warning(f"{self._kind}: {_IN_VAIN}", id=value["id"])
        return Reply(value, {"X-Gateway-Notice": _IN_VAIN})

    async def _find(self, connection: Any, id_: str) -> Entity:
        found = await entities.read(connection, self._kind, id_, self._type)
        if found is None:
            raise not_found(self._noun)
        return found

    @property
    def _noun(self) -> str:
        return self._kind.removesuffix("s").replace("_", " ").replace("policie", "policy")

    def _declared(self, id_: str) -> Entity | None:
        return next(
            (row for row in self._data.declared(self._kind) if id_ in (row.id, row.natural_key)), None
        )

    def _refuse_declared(self, id_: str) -> None:
        if self._declared(id_):
            raise Refusal(409, f"This {self._noun} stands in the configuration file: change it there.")

    def _check(self, entity: Entity, said: Mapping[str, Any]) -> None:
        """Raise ``Refusal`` for values that can't be, or that lead nowhere."""
        found = entity.problem() or self._data.snapshot.dangling(entity)
        if not found and "expires" in said and is_over(said["expires"]):
            found = "expires", OVER
        if found:
            field, why = found
            raise Refusal(400, f"{why[0].upper()}{why[1:]}.", field)
        if any(row.natural_key == entity.natural_key for row in self._data.declared(self._kind)):
            raise Refusal(409, f"The configuration file has this {self._noun} already.")


def entity_routes(data: Data, keyring: Keyring) -> list[Route]:
    """Return the routes of every kind."""
    kinds = [kind for kind in KINDS if kind not in _ELSEWHERE]
    return [route for kind in kinds for route in EntityRoutes(kind, data, keyring).routes()]


def _given(body: msgspec.Struct) -> Iterator[tuple[str, Any]]:
    yield from ((name, getattr(body, name)) for name in body.__struct_fields__)


def _shown(entity: Entity) -> dict[str, Any]:
    """Return an entity without what nobody needs to see."""
    values: dict[str, Any] = msgspec.to_builtins(entity)
    return {name: value for name, value in values.items() if name not in _HIDDEN}


def _shape(
    kind: type[Entity], name: str, *, without: frozenset[str], all_optional: bool = False
) -> type[msgspec.Struct]:
    """Return a struct with the fields of a kind, but for some."""
    fields: list[Any] = []
    for field in msgspec.structs.fields(kind):
        if field.name in without:
            continue
        if all_optional:
            fields.append((field.name, field.type | msgspec.UnsetType, msgspec.UNSET))
        elif field.name in kind.required and not all_optional:
            fields.append((field.name, field.type))
        elif field.default is not msgspec.NODEFAULT:
            fields.append((field.name, field.type, field.default))
        else:
            fields.append((field.name, field.type, msgspec.field(default_factory=field.default_factory)))
    return msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True, module=__name__)
