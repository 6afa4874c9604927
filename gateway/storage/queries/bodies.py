"""Requests are content-addressed: each message is stored once, under the keyed hash of its bytes.

An agent resends its conversation at every turn. So a request's history is a chain: the id of a link is the hash
of the link before it and of its message, and a turn adds only the links that are new. When a message or link is
used, that time is written down, at most once an hour; retention deletes by it (``queries.retention``).
"""

import time
from collections.abc import Iterable

from sqlalchemy import LargeBinary, bindparam, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.recollection import Pieces
from gateway.core.record import Body
from gateway.storage.known import HASH, Known
from gateway.storage.packing import packed, unpacked
from gateway.storage.statement import Batch, Statement, insert
from gateway.storage.tables import contents, histories, interactions, messages

_SMALL = 1024
"""Bytes of a message that is part of its link: a row of its own, at a random place, would cost more than it saves."""
TOUCH = 3600
"""Seconds for which the use of something stored may go unsaid."""

_WHOLE, _CUT = b"\0", b"\1"
"""What a stored body begins with: the body itself follows, or three hashes do. Without either it is the body itself."""
_NOTHING = bytes(HASH)

_add_message = Statement(
    lambda dialect: (
        (made := insert(dialect, messages))
        .values({name: bindparam(name) for name in ("hash", "used_at", "content")})
        .on_conflict_do_update(index_elements=["hash"], set_={"used_at": made.excluded.used_at})
    )
)
_add_history = Statement(
    lambda dialect: (
        (made := insert(dialect, histories))
        .values({name: bindparam(name) for name in ("id", "used_at", "parent", "message", "content")})
        .on_conflict_do_update(index_elements=["id"], set_={"used_at": made.excluded.used_at})
    )
)


class Bodies:
    """The bodies of one batch: what of them has to be written, and what stands for each."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._now = int(time.time())
        self._messages: dict[bytes, bytes] = {}
        self._histories: dict[bytes, tuple[bytes, bytes | None, bytes | None]] = {}

    def add(self, body: Body | None) -> bytes | None:
        """Return what stands for a body."""
        if body is None:
            return None
        if not body.messages and not body.suffix:
            return _WHOLE + body.prefix if body.prefix[:1] in (_WHOLE, _CUT) else body.prefix
        history = self._history(body.messages)
        suffix = self._message(body.suffix) if body.suffix else _NOTHING
        return b"".join((_CUT, self._message(body.prefix), history, suffix))

    def write(self, batch: Batch) -> None:
        """Have written what is new."""
        now = self._now
        batch.add(
            _add_message,
            [(found, now, packed(content)) for found, content in sorted(self._messages.items())],
        )
        batch.add(_add_history, [(found, now, *link) for found, link in sorted(self._histories.items())])

    def _history(self, messages: tuple[bytes, ...]) -> bytes:
        """Return the id of the last link; of what an earlier request had, too, nothing is hashed again."""
        chains = self._known.chains
        links, since = chains.links(messages, self._now - TOUCH // 2)
        history = links[-1] if links else _NOTHING
        for message in messages[len(links) :]:
            history = self._link(history, message)
            links.append(history)
        chains.keep(messages, links, since or self._now)
        return history

    def _message(self, content: bytes) -> bytes:
        found = self._known.hash_of_piece(content)
        if not self._is_known(found):
            self._messages[found] = content
        return found

    def _link(self, parent: bytes, message: bytes) -> bytes:
        # A known link means a known message: both were written, or touched, together.
        found = self._known.hash(parent + message)
        if not self._is_known(found):
            small = len(message) <= _SMALL
            self._histories[found] = (
                (parent, None, message) if small else (parent, self._message(message), None)
            )
        return found

    def _is_known(self, found: bytes) -> bool:
        used = self._known.used.get(found)
        if used is not None and self._now - used < TOUCH // 2:
            return True
        self._known.used[found] = self._now
        return False


async def read(connection: AsyncConnection, id_: str, which: str) -> bytes | None:
    """Return a body as it is stored, ``which`` of ``request``, ``forwarded`` and ``response``."""
    query = (
        select(contents.c[which])
        .join_from(interactions, contents, contents.c.number == interactions.c.content)
        .where(interactions.c.id == id_)
    )
    stored: bytes | None = (await connection.execute(query)).scalar()
    if stored is None:
        return None
    if which == "response":
        return unpacked(stored)
    prefix, messages, suffix = await pieces(connection, stored)
    return b"".join((prefix, *messages, suffix))


async def request(connection: AsyncConnection, id_: str) -> Pieces | None:
    """Return a request cut at its history."""
    query = (
        select(contents.c.request)
        .join_from(interactions, contents, contents.c.number == interactions.c.content)
        .where(interactions.c.id == id_)
    )
    stored: bytes | None = (await connection.execute(query)).scalar()
    return None if stored is None else await pieces(connection, stored)


async def pieces(connection: AsyncConnection, stored: bytes) -> Pieces:
    """Return what stands for a body as the body, cut at its history."""
    if stored[:1] != _CUT:
        return bytes(stored[1:] if stored[:1] == _WHOLE else stored), [], b""
    prefix, history, suffix = stored[1 : HASH + 1], stored[HASH + 1 : 2 * HASH + 1], stored[2 * HASH + 1 :]
    ends = await _contents(connection, [prefix, suffix])
    return ends.get(prefix, b""), await _history(connection, history), ends.get(suffix, b"")


async def _contents(connection: AsyncConnection, hashes: Iterable[bytes]) -> dict[bytes, bytes]:
    found = await connection.execute(
        select(messages.c.hash, messages.c.content).where(messages.c.hash.in_(list(hashes)))
    )
    return {bytes(row.hash): unpacked(row.content) for row in found}


async def _history(connection: AsyncConnection, last: bytes) -> list[bytes]:
    if last == _NOTHING:
        return []
    columns = histories.c.parent, histories.c.message, histories.c.content
    chain = (
        select(literal(0).label("depth"), *columns)
        .where(histories.c.id == bindparam("last", last, LargeBinary))
        .cte("chain", recursive=True)
    )
    chain = chain.union_all(select(chain.c.depth + 1, *columns).where(histories.c.id == chain.c.parent))
    found = await connection.execute(
        select(chain.c.content, messages.c.content.label("packed"))
        .join_from(chain, messages, messages.c.hash == chain.c.message, isouter=True)
        .order_by(chain.c.depth.desc())
    )
    return [unpacked(row.packed or b"") if row.content is None else bytes(row.content) for row in found]
