"""Writing interactions: everything that one batch changes, in one transaction, exactly once.

A batch is written fast when all of it is new. One whose commit may have succeeded, or that failed, is written
``again``: rows that are there are skipped, so that nothing is counted twice, and values which a database refuses
are mended, so that one odd record never holds up the others.
"""

import asyncio
from collections.abc import Callable, Sequence
from operator import attrgetter

import msgspec
from sqlalchemy import bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.record import Record, Started
from gateway.storage.details import Details
from gateway.storage.known import known
from gateway.storage.mending import mended_struct
from gateway.storage.packing import packed
from gateway.storage.queries import facets, usage
from gateway.storage.queries.bodies import Bodies
from gateway.storage.queries.state import increase
from gateway.storage.statement import Batch, Row, Statement, insert
from gateway.storage.tables import contents, in_flight, interactions

_AT_ONCE = 250
"""Rows that are made without a pause: a millisecond or two."""
_json = msgspec.json.Encoder().encode
_details = attrgetter(*Details.__struct_fields__)
_COLUMNS = [column.name for column in interactions.columns]
_CONTENT = ["number", "id", "facet", "said", "request", "forwarded", "response"]
_add = Statement(lambda dialect: insert(dialect, interactions).values({n: bindparam(n) for n in _COLUMNS}))
_add_contents = Statement(
    lambda dialect: insert(dialect, contents).values({name: bindparam(name) for name in _CONTENT})
)
_start = Statement(
    lambda dialect: (
        insert(dialect, in_flight)
        .values({column.name: bindparam(column.name) for column in in_flight.columns})
        .on_conflict_do_nothing()
    )
)
_end = Statement(lambda _: delete(in_flight).where(in_flight.c.id == bindparam("ended")))


async def write(
    connection: AsyncConnection,
    starts: Sequence[Started],
    records: Sequence[Record],
    *,
    again: bool = False,
) -> None:
    """Write the interactions that began and those that ended; a record takes the place of its start."""
    ended = {record.id for record in records}
    if again:
        starts, records = [mended_struct(each) for each in starts], [mended_struct(each) for each in records]
        records = await _missing(connection, records)
    begun = [_start_row(each) for each in starts if each.id not in ended]
    started = known(connection).started
    batch = Batch()
    batch.add(_start, begun)
    started.update(row[0] for row in begun)
    if not records:
        await batch.run(connection)
        return
    of = [facets.facet(record) for record in records]
    used: dict[facets.Facet, list[str]] = {}
    for facet, record in zip(of, records, strict=True):
        used.setdefault(facet, []).append(record.id)
    numbers = await facets.write(connection, batch, used)
    placed = [(record, numbers[facet]) for record, facet in zip(records, of, strict=True)]
    content = await _write_contents(connection, batch, placed)
    counted = [(record, usage.numbers(record)) for record in records]

    def row(number: int) -> Row:
        (record, own), (_, facet) = counted[number], placed[number]
        return _row(record, facet, content.get(record.id), own)

    batch.add(_add, await _made(row, range(len(records))))
    usage.add(batch, counted)
    # A start that another process wrote stays, until `close_lost` finds that its interaction is there.
    batch.add(_end, [(id_,) for id_ in sorted(ended & started)])
    await batch.run(connection)
    started -= ended


async def close_lost(connection: AsyncConnection, worker: str | None = None) -> int:
    """Record as lost what a dead process had in hand; ``None``: whatever began. Returns how many."""
    query = select(in_flight)
    if worker is not None:
        query = query.where(in_flight.c.worker == worker)
    rows = (await connection.execute(query)).all()
    lost = [
        Record(
            id=row.id,
            started_at=row.started_at,
            provider=row.provider,
            endpoint=row.endpoint,
            agent=row.agent,
            virtual_key=row.virtual_key,
            team=row.team,
            user=row.user,
            session=row.session,
            session_source=row.session_source,
            requested_model=row.requested_model,
            model=row.requested_model,
            outcome="lost",
        )
        for row in rows
    ]
    await write(connection, (), lost, again=True)
    await _end(connection, [(row.id,) for row in rows])
    return len(rows)


async def _missing(connection: AsyncConnection, records: Sequence[Record]) -> list[Record]:
    """Return the records whose rows are not there, each id once."""
    by_id = {record.id: record for record in records}
    there = await connection.execute(select(interactions.c.id).where(interactions.c.id.in_(list(by_id))))
    stored = set(there.scalars())
    await _end(connection, [(id_,) for id_ in sorted(stored)])
    return [record for id_, record in by_id.items() if id_ not in stored]


async def _write_contents(
    connection: AsyncConnection, batch: Batch, records: Sequence[tuple[Record, int]]
) -> dict[str, int]:
    """Have stored what was said; return the number of each interaction's row."""
    said = [(r, facet) for r, facet in records if r.text or r.request or r.response]
    if not said:
        return {}
    last = await increase(connection, "contents", len(said))
    bodies = Bodies(known(connection))
    first = last - len(said) + 1

    def row(place: int) -> Row:
        r, facet = said[place]
        return (
            first + place,
            r.id,
            facet,
            r.text or None,
            bodies.add(r.request),
            bodies.add(r.forwarded),
            None if r.response is None else packed(bytes(r.response)),
        )

    rows = await _made(row, range(len(said)))
    bodies.write(batch)
    batch.add(_add_contents, rows)
    return {row[1]: row[0] for row in rows}


async def _made(make: Callable[[int], Row], places: Sequence[int]) -> list[Row]:
    """Make the rows of a batch; whoever waits for the loop gets turns in between."""
    rows: list[Row] = []
    for start in range(0, len(places), _AT_ONCE):
        if start:
            await asyncio.sleep(0)
        rows += map(make, places[start : start + _AT_ONCE])
    return rows


def _start_row(s: Started) -> Row:
    return msgspec.structs.astuple(s)


def _row(r: Record, facet: int, content: int | None, own: usage.Numbers) -> Row:
    return (
        r.id,
        facet,
        content,
        r.session,
        r.started_at,
        r.duration_ms,
        *own,
        _json(Details(*_details(r))).decode(),
    )
