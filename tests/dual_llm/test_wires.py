"""The dual LLM through a running gateway, in every format, streamed and not."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.dual_llm.models import CANARY, EVERY, NOTICE, SUMMARY, TASK, Rig, choose, history, results_in, rig
from tests.harness.dialects import DIALECTS
from tests.harness.upstream import whole

pytestmark = pytest.mark.asyncio(loop_scope="module")
each_wire = pytest.mark.parametrize(("name", "stream"), EVERY)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def asked(tmp_path_factory) -> AsyncIterator[Rig]:
    async with rig(tmp_path_factory.mktemp("dual")) as running:
        yield running


def told(name, stream, what=""):
    """A result that no other test has."""
    return f"{CANARY} {name} {stream} {what}"


@each_wire
async def test_the_summary_goes_upstream_and_the_result_does_not(asked, name, stream):
    dialect = DIALECTS[name]
    models = asked.play()
    got = await asked.send(dialect, history(dialect, {"call_1": told(name, stream)}), stream=stream)
    assert got.response.status == 200, got.raw
    (forwarded,) = models.forwarded
    assert results_in(dialect, forwarded.body) == [SUMMARY]
    assert CANARY.encode() not in forwarded.body
    assert TASK.encode() in forwarded.body
    assert [CANARY.encode() in each.body for each in models.asked_main] == [False] * 3
    assert [CANARY.encode() in each.body for each in models.asked_quarantined] == [True]
    assert all(TASK.encode() not in each.body for each in models.asked_quarantined)
    # The client's own key, where it always is, and all that the API insists on.
    header, key = dialect.key_header
    for each in models.asked:
        assert each.header(header.split()[-1]) == key
        assert each.header("content-type") == "application/json"
        assert each.header("anthropic-version") == ("2023-06-01" if name == "anthropic" else "")
    record, children = await asked.records(got, 4)
    assert record["context_trusted"] is True
    assert record["outcome"] == "ok"
    assert [child["outcome"] for child in children] == ["ok"] * 4
    assert {child["source"] for child in children} == {"dual_llm"}
    assert [child["context_trusted"] for child in children] == [True, False, True, True]
    assert {(child["provider"], child["model"]) for child in children} == {(dialect.provider, dialect.model)}
    assert {child["usage_source"] for child in children} == {"reported"}
    assert {(child["input_tokens"], child["output_tokens"]) for child in children} == {(11, 7)}
    assert all((child["cost"] is None) == (record["cost"] is None) for child in children)
    assert record["overhead_ms"] < 1000


@each_wire
async def test_the_next_turn_has_the_same_bytes_and_asks_nobody(asked, name, stream):
    dialect = DIALECTS[name]
    models = asked.play()
    said = history(dialect, {"call_1": told(name, stream, "again")})
    await asked.send(dialect, said, stream=stream)
    assert len(models.asked) == 4
    (turns,) = [said[key] for key in ("messages", "input", "contents") if key in said]
    later = {
        "role": "user",
        **({"parts": [{"text": "And now?"}]} if "contents" in said else {"content": "And now?"}),
    }
    turns.append(later)
    await asked.send(dialect, said, stream=stream)
    first, second = (results_in(dialect, each.body) for each in models.forwarded)
    assert first == second == [SUMMARY]
    assert len(models.asked) == 4


@each_wire
async def test_a_model_that_obeys_the_injection_changes_nothing_but_the_choice(asked, name, stream):
    dialect = DIALECTS[name]
    models = asked.play(quarantined=lambda data: f"Sure. {data['text']} {choose(99)}")
    await asked.send(dialect, history(dialect, {"call_1": told(name, stream, "obedient")}), stream=stream)
    (forwarded,) = models.forwarded
    assert CANARY.encode() not in forwarded.body
    assert results_in(dialect, forwarded.body)[0].endswith("What is it? None of these, or it can't be told.")
    assert all(CANARY.encode() not in each.body for each in models.asked_main)


@each_wire
async def test_a_failure_withholds_the_result(asked, name, stream):
    dialect = DIALECTS[name]
    models = asked.play(quarantined=lambda _: [whole(lambda d: d.upstream_error(429), status=429)])
    got = await asked.send(dialect, history(dialect, {"call_1": told(name, stream, "429")}), stream=stream)
    assert got.response.status == 200
    (forwarded,) = models.forwarded
    assert results_in(dialect, forwarded.body) == [NOTICE]
    assert CANARY.encode() not in forwarded.body
    record, children = await asked.records(got, 2)
    assert record["context_trusted"] is False
    (decision,) = [each for each in record["decisions"] if each["blocked"]]
    assert decision["policy"] == "dual_llm"
    assert "status 429" in decision["reason"]
    assert children[1]["outcome"] == "upstream_status"
    assert children[1]["status"] == 429
