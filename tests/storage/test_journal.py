"""Records reach the database once, whatever it does: fails, fails after it has committed, refuses one, or stays away."""

import asyncio
import random

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from gateway.core.record import Body, Record
from gateway.storage import journal as journal_module
from gateway.storage import tables
from gateway.storage.journal import Journal
from gateway.storage.queries import interactions, statistics
from gateway.storage.spill import of_worker, orphans
from tests.storage.entries import record, started
from tests.storage.made import count


class Store:
    """A database of which a test says how it behaves."""

    def __init__(self):
        self.rows = {}
        self.begun = set()
        self.lost = []
        self.down = False
        self.down_after = None
        self.again = []
        self.fail_after = 0
        self.poison = set()
        self.poisoned = IntegrityError("insert", None, Exception("no"))
        self.calls = 0
        self.slow = 0.0

    async def commit(self, starts, records, *, again):
        self.calls += 1
        await asyncio.sleep(self.slow)
        if self.down_after == 0:
            self.down = True
        if self.down:
            raise OperationalError("insert", None, Exception("database is locked"))
        if self.poison & {r.id for r in records}:
            raise self.poisoned
        for r in records:
            if r.id in self.rows:
                assert again, f"{r.id} was written twice"
            self.rows[r.id] = r
        self.again += [r.id for r in records if again]
        if self.down_after:
            self.down_after -= 1
        self.begun |= {s.id for s in starts if s.id not in self.rows}
        if self.fail_after:
            self.fail_after -= 1
            raise OperationalError("commit", None, Exception("connection lost"))

    async def close_lost(self, worker):
        self.lost.append(worker)


@pytest.fixture
def store():
    return Store()


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(journal_module, "_PATIENCE", 0.1)
    monkeypatch.setattr(journal_module, "_PAUSES", (0.01,))
    monkeypatch.setattr(journal_module, "_LAST_TRY", 0.2)
    monkeypatch.setattr(journal_module, "_DELAY", 0.01)


def make(store, tmp_path, **options):
    return Journal(store.commit, store.close_lost, tmp_path, "w1", **options)


@pytest.fixture
async def journal(store, tmp_path):
    made = make(store, tmp_path)
    await made.open()
    yield made
    await made.close()


def left_behind(folder, *entries):
    """What a worker that has died had spilled."""
    spill = of_worker(folder, "w0")
    spill.append(entries)
    spill.close()
    return spill.path


async def given(journal, starts, records):
    """Hand over, and wait until that is stored somewhere."""
    journal.put(starts, records)
    await until(lambda: not journal.size)


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(0.005)


async def test_records_and_start_rows_are_committed(store, journal):
    await given(journal, [started("s")], [record("a"), record("b")])
    assert (set(store.rows), store.begun, journal.committed, journal.spilled) == ({"a", "b"}, {"s"}, 2, 0)


async def test_a_commit_that_succeeded_although_it_failed_counts_once(store, journal):
    store.fail_after = 1
    await given(journal, [], [record("a")])
    assert (set(store.rows), journal.committed, store.calls) == ({"a"}, 1, 2)


async def test_a_short_failure_is_waited_for(store, journal):
    store.down = True
    asyncio.get_running_loop().call_later(0.05, setattr, store, "down", False)
    await given(journal, [], [record("a")])
    assert (set(store.rows), journal.spilled) == ({"a"}, 0)


async def test_a_long_failure_spills_and_heals_in_order(store, journal):
    store.down = True
    await given(journal, [], [record("a")])
    await given(journal, [started("s")], [record("b")])
    assert (journal.failing, journal.spilled, journal.committed, store.rows) == (True, 2, 0, {})
    store.down = False
    await until(lambda: not journal.failing)
    assert (list(store.rows), store.begun, journal.ingested) == (["a", "b"], {"s"}, 2)
    await given(journal, [], [record("c")])
    assert (list(store.rows), journal.committed) == (["a", "b", "c"], 1)


async def test_under_pressure_there_is_no_patience(store, tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "_PATIENCE", 60)
    journal = make(store, tmp_path, limit=100)
    await journal.open()
    store.down = True
    async with asyncio.timeout(2):
        await given(journal, [], [record("a")])
    assert journal.spilled == 1
    await journal.close()


async def test_who_has_to_stop_waits_once_for_a_database_and_not_for_every_batch(
    store, tmp_path, monkeypatch
):
    monkeypatch.setattr(journal_module, "_BATCH", 1)
    monkeypatch.setattr(journal_module, "_LAST_TRY", 0.0)
    journal = make(store, tmp_path)
    await journal.open()
    store.down = True
    journal.put([], [record(name) for name in "abcdef"])
    await journal.close()
    assert (journal.spilled, journal.lost) == (6, 0)
    assert store.calls == 1


async def test_what_comes_while_a_full_batch_is_committed_waits_for_more(store, tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "_BATCH", 3)
    monkeypatch.setattr(journal_module, "_DELAY", 0.2)
    store.slow = 0.05
    journal = make(store, tmp_path)
    await journal.open()
    journal.put([], [record(name) for name in "abc"])
    await asyncio.sleep(0.02)
    for name in "de":
        journal.put([], [record(name)])
    await until(lambda: journal.committed == 3)
    await asyncio.sleep(0.1)
    assert (journal.pending, store.calls) == (2, 1)
    await until(lambda: not journal.pending)
    assert (list(store.rows), store.calls) == (list("abcde"), 2)
    await journal.close()


@pytest.mark.parametrize("first", ["a", "abc"])
async def test_what_was_due_while_another_batch_was_committed_is_committed_next(
    store, tmp_path, monkeypatch, first
):
    monkeypatch.setattr(journal_module, "_BATCH", 3)
    monkeypatch.setattr(journal_module, "_DELAY", 0.05)
    store.slow = 0.2
    journal = make(store, tmp_path)
    await journal.open()
    journal.put([], [record(name) for name in first])
    await until(lambda: store.calls)
    journal.put([], [record("d")])
    await until(lambda: journal.committed == len(first))
    await asyncio.sleep(0.02)
    assert store.calls == 2
    await until(lambda: not journal.pending)
    await journal.close()


async def test_what_a_dead_worker_left_is_taken_in_once_the_database_is_back(store, tmp_path):
    left_behind(tmp_path, started("s"), record("a"))
    store.down = True
    journal = make(store, tmp_path)
    await journal.open()
    await asyncio.sleep(0.05)
    assert (store.rows, store.lost) == ({}, [])
    store.down = False
    await until(lambda: store.lost)
    await given(journal, [], [record("b")])
    assert (set(store.rows), store.begun, store.lost, journal.ingested) == ({"a", "b"}, {"s"}, ["w0"], 1)
    await journal.close()
    assert store.calls < 20


class BadValue(Exception):
    sqlstate = "22021"


@pytest.mark.parametrize(
    "error",
    [
        IntegrityError("insert", None, Exception("no")),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
        OverflowError("Python int too large to convert to SQLite INTEGER"),
        DBAPIError("insert", None, BadValue()),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_one_record_that_can_not_be_held_costs_the_others_nothing(store, journal, error):
    store.poisoned = error
    store.poison = {"b"}
    await given(journal, [], [record("a"), record("b"), record("c")])
    assert (set(store.rows), journal.rejected, journal.failing) == ({"a", "c"}, 1, False)
    assert (journal.committed, journal.spilled) == (2, 0)


async def test_a_start_row_that_can_not_be_held_is_no_record(store, journal, monkeypatch):
    async def commit(starts, records, *, again):
        if starts:
            raise store.poisoned
        await store.commit(starts, records, again=again)

    monkeypatch.setattr(journal, "_commit", commit)
    await given(journal, [started("s")], [record("a")])
    assert (set(store.rows), journal.committed, journal.rejected) == ({"a"}, 1, 0)


async def test_a_poisoned_record_in_the_spill_file_does_not_stop_the_healing(store, journal):
    store.down = True
    await given(journal, [], [record("a"), record("b"), record("c")])
    store.poison = {"b"}
    store.down = False
    await until(lambda: not journal.failing)
    assert (set(store.rows), journal.ingested, journal.spilled) == ({"a", "c"}, 2, 3)


async def test_a_replay_that_breaks_off_goes_on_where_it_was(store, journal, monkeypatch):
    monkeypatch.setattr(journal_module, "_BATCH", 2)
    store.down = True
    await given(journal, [], [record(name) for name in "abcdef"])
    store.down_after = 2
    store.down = False
    await until(lambda: store.down)
    assert set(store.rows) == set("abcd")
    store.down_after, store.down, store.again = None, False, []
    await until(lambda: not journal.failing)
    assert (list(store.rows), journal.ingested) == (list("abcdef"), 6)
    assert store.again == ["e", "f"]


async def test_a_file_that_grows_while_it_is_read_is_not_damaged(store, journal, monkeypatch, tmp_path):
    spill = journal._spill
    read = spill.read

    def read_slowly(position, count):
        found = read(position, count)
        if not found[0] and not late:
            late.append(record("late"))
            spill.append(late)  # as another batch that is spilled in this moment
        return found

    late = []
    monkeypatch.setattr(spill, "read", read_slowly)
    store.down = True
    await given(journal, [], [record("a")])
    store.down = False
    await until(lambda: not journal.failing)
    assert list(store.rows) == ["a", "late"]
    assert list(tmp_path.glob("*.damaged")) == []


async def test_a_replay_that_breaks_off_stores_nothing_twice(database, tmp_path, monkeypatch):
    """In a real database: rows, bodies, sums and what is in flight are those of a replay in one go."""
    monkeypatch.setattr(journal_module, "_BATCH", 3)
    told = {"down": True, "commits": 0}

    async def commit(starts, records, *, again):
        if told["down"]:
            raise OperationalError("insert", None, Exception("database is locked"))
        async with database.write() as connection:
            await interactions.write(connection, starts, records, again=again)
            told["commits"] += 1
            if told["commits"] == 3:
                raise OperationalError("insert", None, Exception("disk full"))  # rolled back
        if told["commits"] == 4:
            raise OperationalError("commit", None, Exception("connection lost"))  # stored after all

    journal = Journal(commit, Store().close_lost, tmp_path, "w1")
    await journal.open()
    given_ = [record(input_tokens=7, cost=5, text="said") for _ in range(11)]
    for each in given_:
        await given(journal, [started(each.id)], [])
        await given(journal, [], [each])
    told["down"] = False
    await until(lambda: not journal.failing)
    assert told["commits"] > 8
    assert (journal.spilled, journal.ingested, journal.committed) == (11, 11, 0)
    for table, rows in ((tables.interactions, 11), (tables.contents, 11), (tables.in_flight, 0)):
        assert await count(database, table) == rows, table
    async with database.read() as connection:
        [sums] = await statistics.sums(connection, "model")
    assert (sums["requests"], sums["input_tokens"], sums["cost"]) == (11, 77, "0.000000055")
    await journal.close()


def balanced(journal, enqueued, spill) -> None:
    """Every record is in exactly one place."""
    ends = journal.committed + journal.spilled + journal.rejected + journal.lost
    assert enqueued == ends + journal.pending
    in_file = [entry for entry in spill.read(spill.taken, 10_000)[0] if isinstance(entry, Record)]
    assert journal.spilled == journal.ingested + journal.ingested_rejected + len(in_file)


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_happens_every_record_is_counted_once(store, tmp_path, monkeypatch, seed):
    """A database that comes and goes, fails after it has committed, and refuses some; looked at all the time."""
    monkeypatch.setattr(journal_module, "_PATIENCE", 0.015)
    monkeypatch.setattr(journal_module, "_PAUSES", (0.001, 0.003))
    monkeypatch.setattr(journal_module, "_DELAY", 0.001)
    monkeypatch.setattr(journal_module, "_BATCH", 5)
    chance = random.Random(seed)
    journal = make(store, tmp_path)
    await journal.open()
    spill, given, told = journal._spill, [], 0
    for step in range(120):
        match chance.randrange(8):
            case 0:
                store.down = True
            case 1 | 2:
                store.down, store.down_after = False, None
            case 3:
                store.fail_after = chance.randrange(3)
            case 4:
                store.down_after = chance.randrange(4)
        names = [f"{step}-{n}" for n in range(chance.randrange(6))]
        store.poison |= {name for name in names if chance.random() < 0.1}
        given += names
        journal.put([started(name) for name in names[:2]], [record(name) for name in names])
        await asyncio.sleep(chance.choice([0, 0.001, 0.004]))
        if not journal._lock.locked():  # else a batch is being written
            balanced(journal, len(given), spill)
            told += 1
    store.down, store.down_after, store.fail_after = False, None, 0
    await until(lambda: not journal.pending and not journal.failing)
    balanced(journal, len(given), spill)
    assert sorted(store.rows) == sorted(set(given) - store.poison)
    assert journal.rejected + journal.ingested_rejected == len(store.poison)
    assert journal.committed + journal.ingested == len(store.rows)
    assert told > 10  # on a busy machine a batch is nearly always being written
    await journal.close()


async def test_when_neither_takes_it_the_batch_waits(store, journal, monkeypatch):
    store.down = True

    def full(_entries):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal._spill, "append", full)
    journal.put([], [record("a")])
    await asyncio.sleep(0.3)
    assert journal.size > 0
    assert journal.lag > 0.2
    store.down = False
    await until(lambda: not journal.size)
    assert set(store.rows) == {"a"}


async def test_what_was_spilled_before_the_stop_comes_in_at_the_next_start(store, tmp_path):
    journal = make(store, tmp_path)
    await journal.open()
    store.down = True
    await given(journal, [], [record("a")])
    await journal.close()
    assert store.rows == {}
    store.down = False
    second = Journal(store.commit, store.close_lost, tmp_path, "w2")
    await second.open()
    await until(lambda: store.lost)
    assert (set(store.rows), store.lost, second.ingested) == ({"a"}, ["w1"], 1)
    await second.close()
    assert list(tmp_path.iterdir()) == []


async def test_a_stop_brings_in_what_it_can(store, tmp_path):
    journal = make(store, tmp_path)
    await journal.open()
    store.down = True
    await given(journal, [], [record("a")])
    store.down = False
    await journal.close()
    assert set(store.rows) == {"a"}
    assert list(tmp_path.iterdir()) == []


async def test_a_spill_file_stays_while_the_database_is_down(store, tmp_path):
    left_behind(tmp_path, record("a"))
    store.down = True
    journal = make(store, tmp_path)
    await journal.open()
    await until(lambda: store.calls > 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w0.spill", "w1.spill"]
    await journal.close()
    assert store.lost == []
    [left] = orphans(tmp_path)
    assert (left.worker, [entry.id for entry in left.read(0, 9)[0]]) == ("w0", ["a"])
    left.close()


async def test_a_damaged_spill_file_gives_what_it_can_and_is_kept(store, tmp_path):
    path = left_behind(tmp_path, record("a"), record("b"))
    content = path.read_bytes()
    path.write_bytes(content[:-3])
    journal = make(store, tmp_path)
    await journal.open()
    await until(lambda: store.lost)
    assert set(store.rows) == {"a"}
    assert (tmp_path / "w0.damaged").read_bytes() == content[:-3]
    await journal.close()


async def test_a_batch_is_no_larger_than_what_can_be_written_out_at_once(store, tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "_MOST", 100_000)
    batches = []
    commit = store.commit

    async def counted(starts, records, *, again):
        batches.append(len(records))
        await commit(starts, records, again=again)

    monkeypatch.setattr(store, "commit", counted)
    journal = make(store, tmp_path)
    await journal.open()
    # Nearly all of each is shared with the one before it, and counts once; written out it is 10 kB, twice.
    shared = Body(b"[", (b"x" * 10_000,), b"]", 1)
    records = [record(request=shared, forwarded=shared, request_bytes=10_000) for _ in range(40)]
    journal.put([], records)
    assert journal.size < 100_000
    await journal.close()
    assert len(store.rows) == 40
    assert max(batches) <= 5
    assert (journal.size, journal._whole, journal.committed) == (0, 0, 40)
