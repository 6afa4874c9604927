"""Sums of interactions by hour, kept in the transaction that writes those: statistics read nothing else.

A sum is that of what is known; where nothing is, it is null, never 0.
"""

from collections.abc import Iterable
from operator import attrgetter

from sqlalchemy import ColumnElement, bindparam, func

from gateway.core.record import Record
from gateway.storage.statement import Batch, Statement, insert
from gateway.storage.tables import SAVED, TOKENS, usage_by_hour

_COLUMNS = [column.name for column in usage_by_hour.columns]
_KEY = [column.name for column in usage_by_hour.primary_key]
SUMS = _COLUMNS[len(_KEY) :]


def _plus(one: ColumnElement[int], other: ColumnElement[int]) -> ColumnElement[int]:
    return func.coalesce(one + other, one, other)


numbers = attrgetter(*TOKENS, "cost", "baseline_cost", *(f"saved.{each}" for each in SAVED))
"""What is added up of a record, in the order of the columns ``TOKENS`` and ``MONEY``."""
_add = Statement(
    lambda dialect: (
        (made := insert(dialect, usage_by_hour))
        .values({name: bindparam(name) for name in _COLUMNS})
        .on_conflict_do_update(
            index_elements=_KEY,
            set_={name: _plus(usage_by_hour.c[name], made.excluded[name]) for name in SUMS},
        )
    )
)


Numbers = tuple[int | None, ...]


def add(batch: Batch, records: Iterable[tuple[Record, Numbers]]) -> None:
    """Have records that are new added to the sums, each with its ``numbers``."""
    of: dict[tuple[int, str, str, str, str, str], list[Numbers]] = {}
    for r, own in records:
        key = (
            int(r.started_at // 3600),
            r.agent or "",
            r.team or "",
            r.user or "",
            r.provider,
            r.model or "",
        )
        values = (
            1,
            r.outcome != "ok",
            bool(r.blocked_tools),
            r.cost is None and r.usage_source != "none",
            *own,
        )
        of.setdefault(key, []).append(values)
    # In one order everywhere, so that processes which add to the same rows wait for each other in line.
    batch.add(_add, [(*key, *map(_sum, zip(*values, strict=True))) for key, values in sorted(of.items())])


def _sum(numbers: Iterable[int | None]) -> int | None:
    """Return the sum of those that are known; none is: neither is the sum."""
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
