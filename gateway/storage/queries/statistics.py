"""Sums over a span of time, by one dimension: read from ``usage_by_hour`` alone."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.price import dollars
from gateway.storage.queries.filter import InvalidFilter
from gateway.storage.queries.reading import when
from gateway.storage.queries.usage import SUMS
from gateway.storage.tables import SAVED, usage_by_hour

_HOURS = {"hour": 1, "day": 24}
DIMENSIONS = ("time", "agent", "team", "user", "model", "provider")


async def sums(
    connection: AsyncConnection,
    by: str,
    *,
    bucket: str = "hour",
    from_: float | None = None,
    to: float | None = None,
    agent: str | None = None,
) -> list[dict[str, Any]]:
    """Return what was used by one of ``DIMENSIONS``, and by hour or day if that is time.

    Hours are counted whole: all those that a span touches. ``agent``: only what this one used counts. By time the earliest comes first, else the dearest.
    """
    if by not in DIMENSIONS or bucket not in _HOURS:
        raise InvalidFilter(f"`by` is one of {', '.join(DIMENSIONS)}; `bucket` is hour or day")
    hour = usage_by_hour.c.hour
    group = hour - hour % _HOURS[bucket] if by == "time" else usage_by_hour.c[by]
    columns = [func.sum(usage_by_hour.c[name]).label(name) for name in SUMS]
    query = select(group.label("group"), *columns).group_by(group)
    if from_ is not None:
        query = query.where(hour >= int(from_ // 3600))
    if agent is not None:
        query = query.where(usage_by_hour.c.agent == agent)
    if to is not None:
        query = query.where(hour < -int(-to // 3600))
    rows = (await connection.execute(query)).mappings().all()
    found = [dict(row) for row in rows]
    found.sort(
        key=lambda row: (
            row["group"] if by == "time" else (-(row["cost"] or 0), -row["requests"], row["group"])
        )
    )
    return [_shown(row, by) for row in found]


def _shown(row: dict[str, Any], by: str) -> dict[str, Any]:
    group = row.pop("group")
    # What no interaction knew is unknown; where some did, it is the sum of those.
    row = {name: None if value is None else int(value) for name, value in row.items()}
    saved = {name: dollars(row.pop(f"saved_{name}")) for name in SAVED}
    return {
        by: when(int(group) * 3600) if by == "time" else group or None,
        **row,
        "cost": dollars(row["cost"]),
        "baseline_cost": dollars(row["baseline_cost"]),
        "saved": saved,
    }
