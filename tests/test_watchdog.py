"""One timer for all answers: it ends those that stall, keeps idle ones alive, and spares the rest."""

import asyncio

import pytest

from gateway import watchdog
from gateway.core.errors import Draining, UpstreamTimeout
from gateway.watchdog import ClientStalled, Watch, Watchdog


@pytest.fixture
async def quick(monkeypatch):
    monkeypatch.setattr(watchdog, "_TICK", 0.02)
    dog = Watchdog(keep_alive=0.1, client_stall=0.1)
    dog.start()
    yield dog
    dog.stop()


class Present:
    """A client that is there and takes what it gets."""

    def __init__(self):
        self.written = []
        self.sent = 0
        self.cut = False

    async def write(self, data):
        self.written.append(data)
        self.sent += len(data)

    def left_unseen(self):
        return False

    def abort(self):
        self.cut = True


class Gone(Present):
    """A client that is not there any more."""

    async def write(self, data):
        raise ConnectionResetError

    def left_unseen(self):
        return True


async def waiting(dog, phase, limit, *, touch=0.0, seconds=1.0, deadline=0.0):
    """Wait under a watch; return what ended it, None if nothing did."""
    watch = Watch(asyncio.get_running_loop(), Present())
    dog.watches.add(watch)
    watch.expect("gap" if phase == "client" else phase, limit)
    watch.writing = phase == "client"
    watch.deadline = deadline
    try:
        async with asyncio.timeout(seconds):
            while True:
                await asyncio.sleep(touch or seconds)
                watch.idle = 0.0
    except asyncio.CancelledError:
        assert watch.interrupted()
        return watch.error
    except TimeoutError:
        return None
    finally:
        dog.watches.discard(watch)


@pytest.mark.parametrize(
    ("phase", "error"), [("first_byte", UpstreamTimeout), ("gap", UpstreamTimeout), ("client", ClientStalled)]
)
async def test_what_stalls_is_ended_and_the_error_says_which_limit(quick, phase, error):
    found = await waiting(quick, phase, 0.1)
    assert isinstance(found, error)
    assert "0.1 s" in found.message


async def test_what_moves_is_spared_for_as_long_as_it_moves(quick):
    assert await waiting(quick, "gap", 0.1, touch=0.03, seconds=0.5) is None


async def test_a_limit_of_zero_is_none(quick):
    assert await waiting(quick, "gap", 0.0, seconds=0.3) is None


async def test_the_total_time_ends_what_moves_too(quick):
    deadline = asyncio.get_running_loop().time() + 0.1
    found = await waiting(quick, "gap", 10, touch=0.01, deadline=deadline)
    assert "timeouts.total" in found.message


async def test_nothing_is_ended_before_its_limit(quick):
    started = asyncio.get_running_loop().time()
    await waiting(quick, "gap", 0.2)
    assert asyncio.get_running_loop().time() - started >= 0.2


async def test_a_process_that_stood_still_does_not_find_that_everybody_timed_out(quick, monkeypatch):
    clock = iter([1000.0, 1000.02, 1000.04] + [4000.0 + n * 0.02 for n in range(1000)])
    monkeypatch.setattr(watchdog, "monotonic", lambda: next(clock))
    assert await waiting(quick, "gap", 0.5, touch=0.05, seconds=0.3) is None


async def test_draining_ends_everything(quick):
    task = asyncio.get_running_loop().create_task(waiting(quick, "gap", 10))
    await asyncio.sleep(0.05)
    quick.interrupt_all()
    assert isinstance(await task, Draining)


async def test_a_client_that_leaves_is_not_taken_for_an_interruption(quick):
    watch = Watch(asyncio.get_running_loop(), Present())
    assert not watch.interrupted()


class Idle:
    """A relay between two frames."""

    def keep_alive(self):
        return b": alive\n\n"


async def test_an_idle_stream_is_kept_alive_between_frames(quick):
    watch = Watch(asyncio.get_running_loop(), Present())
    watch.relay = Idle()
    written = watch.client.written
    watch.expect("gap", 10)
    quick.watches.add(watch)
    await asyncio.sleep(0.5)
    assert 2 <= len(written) <= 5
    quick._client_stall = 10
    watch.writing = True  # the client does not read: nothing more is written to it
    before = len(written)
    await asyncio.sleep(0.3)
    assert len(written) == before


@pytest.mark.parametrize(("flows", "expected"), [(False, range(2, 6)), (True, range(1))])
async def test_an_upstream_that_is_read_and_not_relayed_leaves_the_client_in_silence(quick, flows, expected):
    """What counts is what the client gets: a call that is held may arrive for minutes."""
    watch = Watch(asyncio.get_running_loop(), Present())
    watch.relay = Idle()
    watch.expect("gap", 10)
    quick.watches.add(watch)
    for _ in range(50):
        await asyncio.sleep(0.01)
        watch.idle = 0.0
        watch.client.sent += flows
    assert len(watch.client.written) in expected


async def test_a_client_that_is_gone_gets_no_keep_alive(quick):
    class Leaving(Gone):
        def left_unseen(self):
            return False

    watch = Watch(asyncio.get_running_loop(), Leaving())
    watch.relay = Idle()
    watch.expect("gap", 10)
    quick.watches.add(watch)
    await asyncio.sleep(0.2)
    assert watch.error is None


async def test_a_client_that_left_unseen_is_cut_off_whatever_is_waited_for(quick):
    watch = Watch(asyncio.get_running_loop(), Gone())
    quick.watches.add(watch)
    await asyncio.sleep(0.1)
    assert watch.client.cut
    assert watch.error is None


async def opening(dog, phase="stages", *, alive=b": alive", seconds=0.5, **more):
    """Wait in a phase; return whether the answer was begun, and what the client got."""
    client = Present()
    watch = Watch(asyncio.get_running_loop(), client)
    opened = []

    class Opening:
        def keep_alive(self):
            return alive

    async def begin():
        opened.append(watch)
        watch.opening = Opening()
        for name, value in more.items():
            setattr(watch, name, value)

    watch.open = begin
    dog.watches.add(watch)
    watch.expect(phase, 0.0)
    await asyncio.sleep(seconds)
    dog.watches.discard(watch)
    assert len(opened) <= 1
    return bool(opened), client.written


async def test_what_takes_long_before_the_upstream_is_asked_begins_the_answer(quick):
    opened, written = await opening(quick)
    assert opened
    assert set(written) == {b": alive"}
    assert 2 <= len(written) <= 4


async def test_nothing_begins_before_that_or_where_nothing_is_waited_for(quick):
    assert await opening(quick, seconds=0.08) == (False, [])
    assert await opening(quick, phase="") == (False, [])


async def test_without_keep_alives_nothing_begins(quick):
    quick._keep_alive = 0.0
    assert await opening(quick, seconds=0.2) == (False, [])


async def test_signs_of_life_go_on_while_the_upstream_is_waited_for_and_end_with_the_answer(quick):
    assert len((await opening(quick, phase="first_byte"))[1]) >= 2
    assert (await opening(quick, phase="end"))[1] == []


async def test_a_client_that_is_gone_when_the_answer_begins_is_no_error(quick):
    watch = Watch(asyncio.get_running_loop(), Present())

    async def begin():
        raise ConnectionResetError

    watch.open = begin
    quick.watches.add(watch)
    watch.expect("stages", 0.0)
    await asyncio.sleep(0.3)
    quick.watches.discard(watch)
    assert watch.open is None
