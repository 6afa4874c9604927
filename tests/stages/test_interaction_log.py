"""The record of an interaction."""

import msgspec
import pytest
from multidict import CIMultiDict

from gateway.core import conversation as conversations
from gateway.core.adapter import DEFAULT_QUIRKS, RequestAdapter
from gateway.core.errors import ErrorKind, UpstreamReset
from gateway.core.histories import Histories
from gateway.core.interaction import Interaction, Principal, new_id
from gateway.core.provider import Endpoint, Provider, Row
from gateway.core.record import Saved
from gateway.core.redaction import Redactor
from gateway.core.view import (
    Finish,
    FinishReason,
    Message,
    Part,
    Start,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from gateway.logs import InteractionWriter
from gateway.providers.openai.chat_request import ChatRequest
from gateway.settings import Log
from gateway.stages.interaction_log import InteractionLog, record


def interaction():
    row = Row(name="acme", base_url="http://acme.example")
    return Interaction(
        new_id(1_700_000_000.5),
        Provider(row),
        Endpoint("POST", "/x"),
        CIMultiDict(),
        started=10.0,
        started_at=1_700_000_000.5,
    )


def test_what_is_not_known_is_none_and_never_zero():
    found = record(interaction())
    unknown = {
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "first_byte_ms",
        "overhead_ms",
        "status",
        "model",
        "finish_reason",
    }
    assert {name: found[name] for name in unknown} == dict.fromkeys(unknown)
    assert found["usage_source"] == "none"


def test_a_finished_one():
    i = interaction()
    i.principal = Principal("support")
    i.session = ("s-1", "header")
    i.status = 200
    i.outcome = "ok"
    i.first_byte, i.first_token, i.finished, i.overhead = 10.5, 10.75, 12.0, 0.0004
    for event in (Start("r-1", "m-1"), Usage(input_tokens=0, output_tokens=7), Finish(FinishReason.STOP)):
        i.completion.apply(event)
    found = record(i)
    assert (found["agent"], found["session"], found["session_source"]) == ("support", "s-1", "header")
    assert (found["input_tokens"], found["output_tokens"], found["usage_source"]) == (0, 7, "reported")
    assert (found["first_byte_ms"], found["first_token_ms"], found["duration_ms"]) == (500.0, 750.0, 2000.0)
    assert (found["overhead_ms"], found["response_model"], found["finish_reason"]) == (0.4, "m-1", "stop")


def test_whose_it_was():
    i = interaction()
    whose = ("agent", "user", "team", "virtual_key")
    assert [record(i)[name] for name in whose] == [None] * 4
    i.principal, i.user = Principal("support", "ann", "care", virtual_key="k-1"), "ann"
    assert [record(i)[name] for name in whose] == ["support", "ann", "care", "k-1"]
    i.principal, i.user = Principal("support"), ""
    assert [record(i)[name] for name in whose] == ["support", None, None, None]


def test_a_failed_one():
    i = interaction()
    i.fail(UpstreamReset("broke"))
    found = record(i)
    assert (found["outcome"], found["error_kind"], found["error"]) == (
        "upstream_reset",
        ErrorKind.NETWORK_ERROR,
        "broke",
    )


class Stored:
    """What the stage gave to the store."""

    def __init__(self):
        self.starts = []
        self.records = []

    def __call__(self, starts, records):
        self.starts += starts
        self.records += records


@pytest.fixture
def stored():
    return Stored()


def stage(stored, write=lambda _: None, **options):
    return InteractionLog(write, stored, "w-1", **options)


async def test_a_batch_is_written_at_once(stored):
    written = []
    batch = [interaction(), interaction()]
    await stage(stored, written.append).on_done(batch)
    assert [[line.id for line in lines] for lines in written] == [[i.id for i in batch]]


async def test_whoever_was_not_let_in_leaves_a_line_and_no_row(stored):
    known, unknown = interaction(), interaction()
    known.principal = Principal("support")
    written = []
    log = stage(stored, written.extend)
    await log.on_done([known, unknown])
    assert [r.id for r in stored.records] == [known.id]
    assert len(written) == 2
    assert log.counts() == {"not_admitted": 1, "dropped": 0}


async def test_lines_that_can_not_be_written_cost_no_records(stored):
    def broken(_lines):
        raise BlockingIOError

    i = interaction()
    i.principal = Principal("support")
    log = stage(stored, broken)
    with pytest.raises(BlockingIOError):
        await log.on_done([i, interaction()])
    assert [r.id for r in stored.records] == [i.id]
    assert log.counts() == {"not_admitted": 1, "dropped": 0}


async def test_one_that_can_not_be_read_costs_no_others(stored):
    class Unreadable(Chat):
        @property
        def pieces(self):
            raise ZeroDivisionError

    first, odd, last = (talked(b'{"messages":[' + b" " * 3000 + b"]}") for _ in range(3))
    odd.request = Unreadable(odd.request.body)
    written = []
    log = stage(stored, written.extend)
    await log.on_done([first, odd, last])
    assert [r.id for r in stored.records] == [first.id, last.id]
    assert [line.id for line in written] == [first.id, last.id]
    assert log.counts() == {"not_admitted": 0, "dropped": 1}


async def test_a_beginning_is_stored_with_whose_it_is(stored):
    i = interaction()
    i.principal = Principal("support", "", "care", virtual_key="k-1")
    i.user, i.session, i.requested_model = "ann", ("s" * 300, "user"), "m" * 300
    await stage(stored).on_start([i])
    [start] = stored.starts
    assert (start.team, start.user, start.session_source) == ("care", "ann", "user")
    assert (start.session, start.requested_model) == ("s" * 256, "m" * 256)
    assert (start.id, start.worker, start.agent, start.virtual_key, start.provider, start.endpoint) == (
        i.id,
        "w-1",
        "support",
        "k-1",
        "acme",
        "POST /x",
    )


class Chat(RequestAdapter):
    def __init__(self, body, params=None, quirks=DEFAULT_QUIRKS):
        super().__init__(body, params, quirks)
        self.history = ("messages",)
        self.model = "m-1"

    @classmethod
    def parse_message(cls, element):
        found = msgspec.json.decode(element)
        return Message(found["role"], (Part("text", found["content"]),))


def talked(body, response=b'{"answer":"yes"}', forwarded=b""):
    i = interaction()
    i.endpoint = Endpoint("POST", "/x", Chat)
    i.principal = Principal("support")
    i.request = Chat(body)
    i.response = response
    i.forwarded = forwarded
    i.outcome = "ok"
    for event in (
        TextDelta("yes"),
        ToolCallDelta(0, "c1", "search", "{}"),
        ToolCallDelta(1, "c2", "search", "{}"),
    ):
        i.completion.apply(event)
    return i


SMALL = b'{"model": "m-1", "messages": [{"role":"user","content":"my pin is 1234"}, {"role":"user","content":"hi"}] }'
KEY = "sk-0123456789abcdef"
BODY = SMALL[:-1] + b', "more": "' + b"x" * 2048 + b'"}'


async def row(stored, i, **options):
    await stage(stored, **options).on_done([i])
    return stored.records[-1]


async def test_bodies_are_stored_as_they_were_cut_at_the_messages(stored):
    found = await row(stored, talked(BODY, forwarded=BODY.replace(b"m-1", b"m-2")))
    assert bytes(found.request) == BODY
    assert found.request.messages == (
        b'{"role":"user","content":"my pin is 1234"}',
        b', {"role":"user","content":"hi"}',
    )
    assert bytes(found.forwarded) == BODY.replace(b"m-1", b"m-2")
    assert found.forwarded.messages == found.request.messages
    assert bytes(found.response) == b'{"answer":"yes"}'
    assert found.tools == ("search",)


async def test_a_small_request_is_stored_whole(stored):
    found = await row(stored, talked(SMALL))
    assert (found.request.prefix, found.request.messages) == (SMALL, ())


async def test_bodies_can_be_switched_off(stored):
    found = await row(stored, talked(BODY), bodies=False)
    assert (found.request, found.response) == (None, None)
    assert (found.model, found.outcome) == ("m-1", "ok")


async def test_what_is_redacted_is_stored_nowhere(stored):
    redactor = Redactor([r"\d{4}", "$.messages[*].content"])
    i = talked(BODY, response=b'{"pin": "1234"}', forwarded=BODY)
    found = await row(stored, i, redactor=redactor)
    assert b"1234" not in msgspec.json.encode(found)
    assert len(found.request.messages) == 2
    assert b"hi" not in msgspec.json.encode(found)
    assert bytes(found.response) == b'{"pin": "[redacted]"}'


async def test_a_message_is_cut_at_the_limit_and_says_so(stored):
    found = await row(stored, talked(BODY), body_limit=30)
    assert found.request.messages[0] == b'{"role":"user","content":"my p[12 bytes more]'
    assert found.request.messages[1] == b', {"role":"user","content":"hi[2 bytes more]'


async def test_a_request_that_is_no_conversation_is_one_piece(stored):
    i = talked(b'{"messages": 5}')
    found = await row(stored, i)
    assert (found.request.prefix, found.request.messages) == (b'{"messages": 5}', ())


async def test_money_is_whole_in_a_row_and_unknown_is_not_zero(stored):
    i = talked(BODY)
    i.cost, i.price = 12, {"input": "3"}
    found = await row(stored, i)
    assert (found.cost, found.baseline_cost, found.price) == (12, None, {"input": "3"})
    assert found.saved == Saved()


def test_ids_are_ordered_by_time_and_of_version_seven():
    early, late = new_id(1_700_000_000.0), new_id(1_700_000_000.002)
    assert early < late
    assert early[14] == "7"
    assert early[19] in "89ab"
    assert len({new_id(1.0) for _ in range(1000)}) == 1000


def conversation(rounds):
    said = [{"role": ("user", "assistant")[n % 2], "content": f"{n} " + "x" * 200} for n in range(rounds)]
    return msgspec.json.encode({"model": "m-1", "stream": True, "messages": said})


async def test_a_turn_and_what_was_sent_of_it_share_what_came_before(stored, monkeypatch):
    monkeypatch.setattr(conversations, "HISTORIES", Histories())
    sizes = []
    for rounds in (40, 42, 44):
        i = talked(b"")
        i.request = ChatRequest(conversation(rounds))
        i.streamed = True
        i.request.ask_usage()
        i.forwarded = i.request.encode()
        found = await row(stored, i)
        assert bytes(found.request) == conversation(rounds)
        assert bytes(found.forwarded) == i.forwarded != conversation(rounds)
        assert all(
            one is other for one, other in zip(found.request.messages, found.forwarded.messages, strict=True)
        )
        assert f"{rounds - 1} xxx" in found.text
        assert f"{rounds - 3} xxx" not in found.text, "what came before the last answer is not new"
        sizes.append((found.request.size, found.forwarded.size))
    assert sizes[0][0] > 40 * 200
    assert sizes[0][1] < 200
    assert max(sizes[1] + sizes[2]) < 600


async def test_a_text_that_can_not_be_made_is_left_for_later(stored):
    class Odd(Chat):
        def preamble(self):
            raise ZeroDivisionError

    i = talked(BODY)
    i.request = Odd(BODY)
    found = await row(stored, i)
    assert found.text == ""
    assert bytes(found.request) == BODY


def line(**fields):
    i = interaction()
    for name, value in fields.items():
        setattr(i, name, value)
    written = []
    stage(lambda *_: None, written.extend)._write([stage(lambda *_: None)._told(i)[1]])
    return written[0]


@pytest.mark.parametrize("form", ["json", "console"])
def test_whatever_a_client_sent_costs_no_line(form, capsys):
    odd = {"a\ud800": "b\udfff"}
    lines = [
        line(),
        line(client="x\ud800", requested_model="\udcff", unknown={"event\ud800": 1}, price=odd),
        line(),
    ]
    InteractionWriter(Log(format=form))(lines)
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 3
    if form == "json":
        decoded = [msgspec.json.decode(each) for each in told]
        assert decoded[1]["client"] == "x\\ud800"
        assert decoded[1]["unknown"] == {"event\\ud800": 1}
        assert list(decoded[0])[-3:] == ["event", "level", "timestamp"]
        assert decoded[0]["started_at"] == decoded[0]["timestamp"] == "2023-11-14T22:13:20.500000Z"
        assert decoded[0]["saved"] == {"toon": None, "model_optimization": None, "cache": None}


def test_a_silent_log_writes_nothing(capsys):
    InteractionWriter(Log(level="warning"))([line()])
    assert capsys.readouterr().out == ""
