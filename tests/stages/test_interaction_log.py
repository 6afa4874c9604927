"""The record of an interaction."""

from multidict import CIMultiDict

from gateway.core.errors import ErrorKind, UpstreamReset
from gateway.core.interaction import Interaction, Principal, new_id
from gateway.core.provider import Endpoint, Provider, Row
from gateway.core.view import Finish, FinishReason, Start, Usage
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


def test_a_failed_one():
    i = interaction()
    i.fail(UpstreamReset("broke"))
    found = record(i)
    assert (found["outcome"], found["error_kind"], found["error"]) == (
        "upstream_reset",
        ErrorKind.NETWORK_ERROR,
        "broke",
    )


async def test_a_batch_is_written_at_once():
    written = []
    batch = [interaction(), interaction()]
    await InteractionLog(written.append).on_done(batch)
    assert [[found["id"] for found in records] for records in written] == [[i.id for i in batch]]


def test_ids_are_ordered_by_time_and_of_version_seven():
    early, late = new_id(1_700_000_000.0), new_id(1_700_000_000.002)
    assert early < late
    assert early[14] == "7"
    assert early[19] in "89ab"
    assert len({new_id(1.0) for _ in range(1000)}) == 1000
