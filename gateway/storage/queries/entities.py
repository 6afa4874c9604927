"""What is configured through the API: one table per kind, the entity itself as JSON.

Every write bumps the version by which all processes see that their snapshot is old, and adds a row to the audit
log, in the caller's transaction. Taking the version first also puts writers in line.
"""

import time
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
import structlog
from sqlalchemy import delete as delete_rows
from sqlalchemy import insert, select
from sqlalchemy import update as update_rows
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.entities import Entity
from gateway.storage.queries import audit, state
from gateway.storage.queries.reading import lenient
from gateway.storage.tables import entities

_Entity = TypeVar("_Entity", bound=msgspec.Struct)
_log = structlog.get_logger()
_HIDDEN = frozenset({"hash", "ciphertext"})
"""Fields that the audit log does not show."""


class Conflict(Exception):
    """Another entity of the kind has this id or natural key."""


async def create(
    connection: AsyncConnection, kind: str, entity: Entity, actor: str, address: str = ""
) -> int:
    """Store an entity. Returns the new version."""
    version = await state.increase(connection, "version")
    table, now, values = entities[kind], time.time(), _values(entity)
    try:
        async with connection.begin_nested():
            await connection.execute(
                insert(table).values(
                    id=values["id"],
                    key=entity.natural_key,
                    created_at=now,
                    updated_at=now,
                    data=msgspec.json.encode(values).decode(),
                )
            )
    except IntegrityError as error:
        raise Conflict(f"there is one of {kind} with this id or key already") from error
    await audit.add(connection, actor, "create", kind, values["id"], None, _shown(values), address=address)
    return version


async def read(connection: AsyncConnection, kind: str, id_: str, type_: type[_Entity]) -> _Entity | None:
    """Return an entity, by its id or its natural key."""
    table = entities[kind]
    for column in (table.c.id, table.c.key):
        found = (await connection.execute(select(table.c.data).where(column == id_))).scalar()
        if found is not None:
            return _read(found, type_)
    return None


async def page(
    connection: AsyncConnection, kind: str, type_: type[_Entity], limit: int, after: str | None = None
) -> tuple[list[_Entity], str | None]:
    """Return entities in the order of their ids, and what to give as ``after`` for the next page."""
    table = entities[kind]
    query = select(table.c.id, table.c.data).order_by(table.c.id).limit(limit + 1)
    if after is not None:
        query = query.where(table.c.id > after)
    rows = (await connection.execute(query)).all()
    found = [entity for row in rows[:limit] if (entity := _read(row.data, type_)) is not None]
    return found, rows[limit - 1].id if len(rows) > limit else None


async def update(
    connection: AsyncConnection, kind: str, entity: Entity, actor: str, address: str = ""
) -> int | None:
    """Store an entity in place of the one with its id. Returns the new version; ``None``: there is none."""
    version = await state.increase(connection, "version")
    table, values = entities[kind], _values(entity)
    before = await _data(connection, kind, values["id"])
    if before is None:
        return None
    try:
        async with connection.begin_nested():
            await connection.execute(
                update_rows(table)
                .where(table.c.id == values["id"])
                .values(
                    key=entity.natural_key, updated_at=time.time(), data=msgspec.json.encode(values).decode()
                )
            )
    except IntegrityError as error:
        raise Conflict(f"there is one of {kind} with this key already") from error
    await audit.add(
        connection, actor, "update", kind, values["id"], _shown(before), _shown(values), address=address
    )
    return version


async def delete(
    connection: AsyncConnection, kind: str, id_: str, actor: str, address: str = ""
) -> int | None:
    """Delete an entity. Returns the new version; ``None``: there is none."""
    version = await state.increase(connection, "version")
    before = await _data(connection, kind, id_)
    if before is None:
        return None
    await connection.execute(delete_rows(entities[kind]).where(entities[kind].c.id == id_))
    await audit.add(connection, actor, "delete", kind, id_, _shown(before), None, address=address)
    return version


async def version(connection: AsyncConnection) -> int:
    """Return the number that every write increases."""
    return await state.get(connection, "version")


async def load_all(
    connection: AsyncConnection, types: Mapping[str, type[msgspec.Struct]]
) -> tuple[int, dict[str, list[msgspec.Struct]]]:
    """Return everything, by kind, and the version that it is. One that can't be read is left out."""
    number = await version(connection)
    found: dict[str, list[msgspec.Struct]] = {}
    for kind, type_ in types.items():
        rows = await connection.execute(select(entities[kind].c.data).order_by(entities[kind].c.id))
        found[kind] = [entity for data in rows.scalars() if (entity := _read(data, type_)) is not None]
    return number, found


async def _data(connection: AsyncConnection, kind: str, id_: str) -> dict[str, Any] | None:
    table = entities[kind]
    found = (await connection.execute(select(table.c.data).where(table.c.id == id_))).scalar()
    return None if found is None else lenient(found, {})


def _values(entity: Entity) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(entity)
    return values


def _read(data: str, type_: type[_Entity]) -> _Entity | None:
    """Read an entity; fields that another version has are left out, and what can't be read is told of."""
    known = {field.encode_name for field in msgspec.structs.fields(type_)}
    values = {name: value for name, value in lenient(data, {}).items() if name in known}
    try:
        return msgspec.convert(values, type_)
    except msgspec.ValidationError as error:
        _log.error("a stored row can't be read", type=type_.__name__, id=values.get("id"), problem=str(error))
        return None


def _shown(values: dict[str, Any]) -> dict[str, Any]:
    return {name: "…" if name in _HIDDEN else value for name, value in values.items()}
