"""Rows as the API shows them. What can't be read is missing: one odd row never breaks a list."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.price import dollars
from gateway.storage.details import Details
from gateway.storage.tables import FACETS, SAVED, TOKENS, facets, interactions

_COLUMNS = ("session", "duration_ms", *TOKENS, *FACETS)
_NOT_SAID = msgspec.to_builtins(msgspec.structs.asdict(Details()))


_all = select(interactions, *(facets.c[name] for name in (*FACETS, "tools"))).join_from(
    interactions, facets, facets.c.id == interactions.c.facet
)


async def records(connection: AsyncConnection, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return interactions by their ids, in the order of those."""
    found = await connection.execute(_all.where(interactions.c.id.in_(ids)))
    by_id = {row.id: _record(row) for row in found}
    return [by_id[id_] for id_ in ids if id_ in by_id]


async def one(connection: AsyncConnection, id_: str) -> dict[str, Any] | None:
    """Return one interaction."""
    found = await records(connection, [id_])
    return found[0] if found else None


def _record(row: Row[Any]) -> dict[str, Any]:
    """Return a row with the fields of the interaction's line in the log; what can't be read is missing, never an error."""
    values = row._mapping  # noqa: SLF001  # the documented way to the columns by name
    return {
        "id": row.id,
        **_NOT_SAID,
        **lenient(row.data, {}),
        **{name: values[name] for name in _COLUMNS},
        "started_at": when(row.started_at),
        "cost": dollars(row.cost),
        "baseline_cost": dollars(row.baseline_cost),
        "saved": {name: dollars(values[f"saved_{name}"]) for name in SAVED},
        "blocked": bool(row.blocked),
        "tools": lenient(row.tools, []),
    }


def lenient(value: str | None, otherwise: Any) -> Any:
    """Read stored JSON; what can't be read, or is of another kind than expected, is what it is otherwise."""
    try:
        found = msgspec.json.decode(value or b"")
    except (msgspec.DecodeError, UnicodeError):
        return otherwise
    return found if isinstance(found, type(otherwise)) else otherwise


def when(time: float | None) -> str | None:
    """Return a time as RFC 3339."""
    try:
        return None if time is None else datetime.fromtimestamp(time, UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return None
