"""Sums of interactions by hour, kept in the transaction that writes those: statistics read nothing else."""

import operator
from collections.abc import Iterable

from sqlalchemy import bindparam

from gateway.core.record import Record
from gateway.storage.statement import Batch, Statement, insert
from gateway.storage.tables import SAVED, usage_by_hour

_COLUMNS = [column.name for column in usage_by_hour.columns]
_KEY = [column.name for column in usage_by_hour.primary_key]
_NONE_SAVED = (0,) * len(SAVED)
SUMS = _COLUMNS[len(_KEY) :]

_add = Statement(
    lambda dialect: (
        (made := insert(dialect, usage_by_hour))
        .values({name: bindparam(name) for name in _COLUMNS})
        .on_conflict_do_update(
            index_elements=_KEY,
            set_={name: usage_by_hour.c[name] + made.excluded[name] for name in SUMS},
        )
    )
)


def add(batch: Batch, records: Iterable[Record]) -> None:
    """Have records that are new added to the sums."""
    sums: dict[tuple[int, str, str, str, str, str], tuple[int, ...]] = {}
    for r in records:
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
            r.cost is None,
            r.input_tokens or 0,
            r.output_tokens or 0,
            r.cache_read_tokens or 0,
            r.cache_write_tokens or 0,
            r.cache_write_1h_tokens or 0,
            r.reasoning_tokens or 0,
            r.cost or 0,
            r.baseline_cost or 0,
            *((r.saved.get(each) or 0 for each in SAVED) if r.saved else _NONE_SAVED),
        )
        found = sums.get(key)
        sums[key] = values if found is None else tuple(map(operator.add, found, values))
    # In one order everywhere, so that processes which add to the same rows wait for each other in line.
    batch.add(_add, [(*key, *values) for key, values in sorted(sums.items())])
