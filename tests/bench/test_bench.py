"""The bench measures what it says: the hop changes nothing, broken answers fail, verdicts follow the numbers."""

import asyncio
import socket

import pytest

from bench import __main__ as bench
from bench import load, report, subjects, upstream
from bench.load import BrokenAnswer, Plain, Streams
from bench.report import Results
from bench.turns import TURN, Turn

CORE = subjects.cores()[0]


@pytest.fixture(scope="module")
def mock():
    with subjects.upstream(CORE) as process:
        yield process


@pytest.fixture(scope="module")
def hop(mock):
    with subjects.hop("hop", CORE, mock.port) as process:
        yield process


def exchange(port: int, message: bytes, end: bytes) -> bytes:
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(message)
        while not received.endswith(end):
            received += connection.recv(65536)
    return received


def body(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("size", [1_000, 100_000, 2_000_000])
def test_hop_forwards_plain_requests_of_every_size(mock, hop, size):
    assert abs(len(body(load.request(1, size))) - size) < 100
    answers = [exchange(port, load.request(port, size), b"}") for port in (mock.port, hop.port)]
    assert body(answers[0]) == body(upstream.WHOLE) == body(answers[1])
    assert b"x-request-id: req_" in answers[1].lower()


@pytest.mark.parametrize("gap", [0, 5])
def test_hop_forwards_streams(mock, hop, gap):
    message = load.request(1, stream=f"bench-20-{gap}")
    direct, relayed = (exchange(port, message, b"0\r\n\r\n") for port in (mock.port, hop.port))
    assert direct.count(b"data: ") == 21
    assert body(direct).startswith(upstream.FIRST + upstream.TEXT)
    assert events(relayed) == events(direct)  # cut into chunks as the hop likes


@pytest.mark.parametrize("name", bench.MODULES)
def test_every_subject_serves(mock, name):
    with subjects.gateway(name, CORE, mock.port, bench.MODULES[name]) as process:
        answer = exchange(process.port, load.request(process.port, 1000), b"}")
        assert body(answer) == body(upstream.WHOLE)
        assert 0 < process.start < subjects.PATIENCE


def events(answer: bytes) -> list[bytes]:
    return [line for line in body(answer).splitlines() if line.startswith(b"data: ")]


def test_usage_is_streamed_to_those_who_ask(mock):
    asked = load.request(1, stream="bench-5-0").replace(
        b'"stream":true', b'"stream":true,"stream_options":{"include_usage":true}'
    )
    length = len(body(asked))
    head, _, rest = asked.partition(b"\r\n\r\n")
    head = head.rpartition(b"Content-Length")[0] + b"Content-Length: %d" % length
    assert exchange(mock.port, head + b"\r\n\r\n" + rest, b"0\r\n\r\n").count(b'"usage":{') == 1


async def test_load_counts_requests_and_events(hop):
    measured = await load.plain(
        hop.port, hop.cpu, Turn(), connections=2, turns=1, message=load.request(hop.port, 1000)
    )
    assert measured.requests > 0
    assert measured.cpu > 0
    flowing = await load.streams(hop.port, hop.cpu, Turn(), streams=5, events=20, gap=5)
    assert 0 < flowing.events <= 5 * 21
    assert len(flowing.first_event) == 5
    assert 0 < flowing.median <= flowing.p99 < 5


async def test_streams_too_short_to_overlap_are_an_error(hop):
    with pytest.raises(BrokenAnswer):
        await load.streams(hop.port, hop.cpu, Turn(), streams=20, events=2, gap=1)


async def test_a_wrong_answer_is_an_error(mock, monkeypatch):
    monkeypatch.setattr(
        load, "HEAD", load.HEAD.replace(b"Content-Length", b"Transfer-Encoding: chunked\r\nX-Length")
    )
    with pytest.raises(BrokenAnswer):
        await load.plain(
            mock.port, mock.cpu, Turn(), connections=1, turns=1, message=load.request(mock.port, 1000)
        )


async def test_subjects_are_measured_in_their_turns(mock, hop):
    """Two loads side by side leave each subject idle in the other's turns, so together they use one core."""
    turns = Turn(0, 2), Turn(1, 2)
    first, second = await asyncio.gather(
        *(
            load.plain(hop.port, hop.cpu, turn, connections=4, turns=3, message=load.request(hop.port, 1000))
            for turn in turns
        )
    )
    assert first.requests > 0
    assert second.requests > 0
    assert first.seconds == pytest.approx(3 * TURN, rel=0.5)


@pytest.mark.parametrize(
    ("now", "away", "delay"), [(0.05, 1, 0.05), (0.15, 0, 0.0), (0.25, 2, 0.15), (0.36, 1, 0.04)]
)
def test_turns(now, away, delay):
    turn = Turn(1, 3)
    assert turn.away(now) == away
    assert turn.delay(now) == pytest.approx(delay)
    assert Turn().away(now) == 0


def results(
    name: str, *, plain: float = 1e-4, event: float = 1e-5, megabyte: float = 1e-3, serving: float = 50.0
) -> Results:
    made = Results(
        name,
        None if name == "hop" else results("hop"),
        starts=[0.3],
        serving=[serving],
        resident=[50.0],
        streams=[Streams(10, 10 * event, [0.001, 0.002])],
    )
    for size, cpu in ((report.SMALL, plain), (report.MEDIUM, plain), (report.LARGE, megabyte)):
        made.plain[size].append(Plain(10, 1.0, 10 * cpu))
    return made


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({}, []),
        ({"plain": 1.39e-4}, []),
        ({"plain": 1.41e-4}, ["CPU per plain request, 1 kB"]),
        ({"event": 1.31e-5}, ["CPU per streamed event"]),
        ({"megabyte": 0.011}, ["CPU per request of 1 MB"]),
        ({"serving": 121.0}, ["Resident after requests of 1 kB"]),
    ],
)
def test_verdicts(change, missed):
    direct = Streams(10, 1.0, [0.001, 0.001])
    judged = report.verdicts(results("gateway", **change), direct)
    assert [verdict.name for verdict in judged if not verdict.met] == missed


def test_table_is_written_between_the_markers(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}old\n{report.END}after\n")
    report.write(report.table([results("gateway")]), readme)
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| CPU per plain request, 1 kB | 100 µs | 100 µs | 1.00 |" in text


def test_markers_are_needed_and_there(tmp_path):
    (tmp_path / "README.md").write_text("nothing")
    with pytest.raises(RuntimeError):
        report.write("", tmp_path / "README.md")
    text = report.README.read_text()
    assert 0 < text.find(report.BEGIN) < text.find(report.END)
