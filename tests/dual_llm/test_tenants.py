"""Whose summary, whose model, whose key and whose bill it is; and that a restart changes none of it."""

import asyncio
import signal
import time

import pytest

from gateway.secrets import Keyring, new_virtual_key
from tests.dual_llm.models import (
    CANARY,
    FILE,
    KEYS,
    NOTICE,
    OPTIONS,
    SUMMARY,
    TOOL,
    WIRES,
    choose,
    eventually,
    history,
    results_in,
    rig,
)
from tests.harness.dialects import DIALECTS
from tests.harness.upstream import stall

CHAT = DIALECTS["chat"]
MASTER = "m" * 40


def agents(*slugs):
    return "".join(f'[[agents]]\nslug = "{slug}"\nteam = "care"\n' for slug in slugs)


def other(number):
    """What stands in place of a result whose question got another answer."""
    return SUMMARY.replace(OPTIONS[0], OPTIONS[number - 1])


async def test_two_tenants_with_the_same_call_and_result_share_nothing(tmp_path):
    async with rig(tmp_path, agents("one", "two") + FILE) as asked:
        for dialect in map(DIALECTS.get, WIRES):
            said = history(dialect, {"call_1": f"{CANARY} {dialect.name}"})
            await share_nothing(asked, dialect, said)


async def share_nothing(asked, dialect, said):
    models = asked.play()
    await asked.send(dialect, said, agent="/@one")
    models.quarantined = lambda _: choose(2)
    got = await asked.send(dialect, said, agent="/@two")
    _, children = await asked.records(got, 4)
    assert {child["agent"] for child in children} == {"two"}
    await asked.send(dialect, said, agent="/@one")
    await asked.send(dialect, said, agent="/@two")
    assert [results_in(dialect, each.body) for each in models.forwarded] == [[SUMMARY], [other(2)]] * 2
    assert len(models.asked_quarantined) == 2


async def test_what_differs_in_anything_else_is_asked_about_anew(tmp_path):
    async with rig(tmp_path) as asked:
        models = asked.play()
        said = [
            history(CHAT, {"call_1": CANARY}),
            history(CHAT, {"call_2": CANARY}),  # a call's id is nothing of the result
            history(CHAT, {"call_1": CANARY}, task="Another."),
            history(CHAT, {"call_1": CANARY + "!"}),
        ]
        counts = []
        for each in said:
            await asked.send(CHAT, each)
            counts.append(len(models.asked_quarantined))
        assert counts == [1, 1, 2, 3]


async def test_a_restart_and_another_process_give_the_same_bytes(tmp_path):
    env = {"GATEWAY_STATE_DIR": str(tmp_path / "state"), "GATEWAY_SECRET_KEY": MASTER}

    async def bodies(asked, **scripts):
        models = asked.play(**scripts)
        for name in WIRES:
            got = await asked.send(DIALECTS[name], history(DIALECTS[name], {"call_1": f"{CANARY} {name}"}))
            assert (await asked.gate.record(got))["context_trusted"] is True
        return [each.body for each in models.forwarded]

    async with rig(tmp_path, env=env) as asked:
        before = await bodies(asked)
        async with rig(tmp_path, env=env) as beside:
            assert await bodies(beside, quarantined=lambda _: choose(2)) == before
            assert beside.models.asked == []
    async with rig(tmp_path, env=env) as again:
        assert await bodies(again, quarantined=lambda _: choose(2)) == before
        assert again.models.asked == []


@pytest.mark.parametrize(
    "unstored",
    ["[record]\nbodies = false\n", "[record]\nredact = ['Is it secret']\n", "[record]\nredact = ['$.x']\n"],
)
async def test_what_may_not_be_stored_is_not(tmp_path, unstored):
    question = '{"done": false, "question": "Is it secret?", "options": ["yes"]}'

    def main(data):
        return question if data.get("questions_left") == 5 else "Is it secret? Yes."

    env = {"GATEWAY_STATE_DIR": str(tmp_path / "state"), "GATEWAY_SECRET_KEY": MASTER}
    said = history(CHAT, {"call_1": CANARY})
    for _ in range(2):
        async with rig(tmp_path, FILE + unstored, env) as asked:
            models = asked.play(main=main)
            for _ in range(2):
                await asked.send(CHAT, said)
            assert len(models.asked_quarantined) == 1  # each process anew, and once
    if "$" not in unstored:
        stored = b"".join(file.read_bytes() for file in (tmp_path / "state").glob("gateway.db*"))
        assert b"Is it secret" not in stored


async def test_other_policies_and_other_models_ask_anew(tmp_path):
    file = tmp_path / "gateway.toml"
    said = history(CHAT, {"call_1": CANARY})
    async with rig(tmp_path) as asked:
        models = asked.play()
        for more, wanted in (
            ("", 1),
            ('[[trusted_data_policies]]\ntool = "other"\naction = "mark_as_trusted"\n', 2),
            ("[dual_llm]\nmax_rounds = 1\n", 3),
        ):
            file.write_text(FILE + more)
            written = time.monotonic()
            while len(models.asked_quarantined) < wanted:
                assert time.monotonic() - written < 5
                await asked.send(CHAT, said)
                await asyncio.sleep(0.1)
        assert len(models.asked_quarantined) == 3
        assert len(models.asked_main) == 3 + 3 + 2  # the last time one question was all


async def test_a_policy_for_one_agent_holds_for_its_results_alone(tmp_path):
    text = agents("one", "two") + FILE + 'agents = ["one"]\n'
    async with rig(tmp_path, text) as asked:
        models = asked.play()
        await asked.send(CHAT, history(CHAT, {"1": CANARY}), agent="/@two")
        await asked.send(CHAT, history(CHAT, {"1": CANARY}), agent="/@one")
        assert [results_in(CHAT, each.body) for each in models.forwarded] == [[CANARY], [SUMMARY]]


MODELS = """
[dual_llm]
main_model = "anthropic/claude-main"
quarantined_model = "gemini/gemini-quarantined"
"""
STORED = {"ANTHROPIC_API_KEY": "stored-anthropic-key", "GEMINI_API_KEY": "stored-gemini-key"}


@pytest.mark.parametrize("name", WIRES)
async def test_models_that_the_settings_name_are_asked_with_the_operator_s_keys(tmp_path, name):
    dialect = DIALECTS[name]
    async with rig(tmp_path, FILE + MODELS, STORED) as asked:
        models = asked.play()
        got = await asked.send(dialect, history(dialect, {"1": CANARY}))
        assert results_in(dialect, models.forwarded[0].body) == [SUMMARY]
        assert {each.line for each in models.asked_main} == {"POST /anthropic/v1/messages HTTP/1.1"}
        assert {each.header("x-api-key") for each in models.asked_main} == {"stored-anthropic-key"}
        assert {each.header("anthropic-version") for each in models.asked_main} == {"2023-06-01"}
        assert {each.line for each in models.asked_quarantined} == {
            "POST /gemini/v1beta/models/gemini-quarantined:generateContent HTTP/1.1"
        }
        assert {each.header("x-goog-api-key") for each in models.asked_quarantined} == {"stored-gemini-key"}
        key = dialect.key_header[1].removeprefix("Bearer ").encode()
        assert all(key not in each.raw_head + each.body for each in models.asked)
        _, children = await asked.records(got, 4)
        assert [child["model"] for child in children] == [
            "claude-main",
            "gemini-quarantined",
            *["claude-main"] * 2,
        ]


async def test_a_client_s_key_goes_to_no_other_provider(tmp_path):
    async with rig(tmp_path, FILE + MODELS) as asked:
        models = asked.play()
        got = await asked.send(CHAT, history(CHAT, {"1": CANARY}))
        assert results_in(CHAT, models.forwarded[0].body) == [NOTICE]
        assert models.asked == []
        record, _ = await asked.records(got, 0)
        assert "no key of its own for Anthropic" in record["decisions"][-1]["reason"]


async def test_without_a_stored_key_another_model_of_the_same_provider_has_the_client_s(tmp_path):
    text = FILE + '[dual_llm]\nmain_model = "openai/main"\nquarantined_model = "openai/quarantined"\n'
    async with rig(tmp_path, text) as asked:
        models = asked.play()
        dialect = DIALECTS["responses"]
        headers = ["openai-organization: org_1", "openai-beta: x", "idempotency-key: 7"]
        await asked.send(dialect, history(dialect, {"1": CANARY}), headers=headers)
        assert results_in(dialect, models.forwarded[0].body) == [SUMMARY]
        for each in models.asked:
            assert each.line == "POST /openai/v1/responses HTTP/1.1"
            assert each.header("authorization") == f"Bearer {KEYS['openai']}"
            assert each.header("openai-organization") == "org_1"
            assert each.header("idempotency-key") == each.header("openai-beta") == ""
            assert b'"store":false' in each.body
        assert {b'"model":"main"' in each.body for each in models.asked_main} == {True}
        assert {b'"model":"quarantined"' in each.body for each in models.asked_quarantined} == {True}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_key_in_the_query_goes_with_the_questions(tmp_path, stream):
    dialect = DIALECTS["gemini_array"]
    async with rig(tmp_path) as asked:
        models = asked.play()
        path = dialect.path(stream=stream)
        dialect = type("", (type(dialect),), {"path": lambda *_, **__: f"{path}?key=AIza-secret&x=1"})()
        await asked.send(dialect, history(dialect, {"1": CANARY}), stream=stream, key=" ")
        assert results_in(dialect, models.forwarded[0].body) == [SUMMARY]
        assert {each.line.split()[1].partition("?")[2] for each in models.asked} == {"key=AIza-secret"}


async def test_a_virtual_key_pays_for_its_questions(tmp_path):
    key = new_virtual_key()
    text = f"""auth = "required"
{agents("support")}
[[virtual_keys]]
name = "ci"
hash = "{Keyring(MASTER).hash(key)}"
agent = "support"
user = "ada"
models = ["gpt-4o-mini"]
{FILE}
[dual_llm]
quarantined_model = "openai/gpt-4o"
"""
    env = {"GATEWAY_SECRET_KEY": MASTER, "OPENAI_API_KEY": "stored-openai-key"}
    async with rig(tmp_path, text, env) as asked:
        models = asked.play()
        session = ["x-gateway-session-id: s1", "x-gateway-run-id: r1"]
        got = await asked.send(CHAT, history(CHAT, {"1": CANARY}), key=f"Bearer {key}", headers=session)
        assert results_in(CHAT, models.forwarded[0].body) == [SUMMARY]
        assert all(each.header("authorization") == "Bearer stored-openai-key" for each in models.asked)
        record, children = await asked.records(got, 4)
        for name in ("agent", "user", "team", "virtual_key", "session", "run"):
            assert {child[name] for child in children} == {record[name]}
            assert record[name]
        assert float(record["cost"]) > 0
        assert [child["model"] for child in children] == ["gpt-4o-mini", "gpt-4o", *["gpt-4o-mini"] * 2]
        assert {child["cost"] for child in children} == {record["cost"]}  # of as many tokens
        assert all(child["price"] for child in children)


async def test_the_record_tells_what_became_of_the_results(tmp_path):
    async with rig(tmp_path) as asked:
        asked.play(quarantined=lambda d: choose(1 if "good" in d["text"] else 7))
        said = history(CHAT, {"1": f"{CANARY} good", "2": f"{CANARY} bad", "3": f"{CANARY} good"})
        await asked.send(CHAT, said)
        got = await asked.send(CHAT, said)
        record = await asked.gate.record(got)
        assert record["context_trusted"] is True
        assert [each["tool"] for each in record["decisions"]] == [TOOL]


async def test_asked_of_compressed_and_streamed_histories_alike(tmp_path):
    """A count of tokens sends the conversation, too: it must not tell what the answer's request does not."""
    dialect = DIALECTS["anthropic"]
    async with rig(tmp_path) as asked:
        models = asked.play()
        counting = type("", (type(dialect),), {"path": lambda *_, **__: "/v1/messages/count_tokens"})()
        await asked.send(counting, history(dialect, {"1": CANARY}))
        assert {each.line for each in models.asked} == {"POST /anthropic/v1/messages HTTP/1.1"}
        assert results_in(dialect, models.forwarded[0].body) == [SUMMARY]


async def test_a_gateway_that_shuts_down_ends_the_questions(tmp_path):
    env = {"GATEWAY_DRAIN_FINISH": "0.2"}
    async with rig(tmp_path, env=env) as asked:
        models = asked.play(quarantined=lambda _: [stall()])
        sending = asyncio.get_running_loop().create_task(asked.send(CHAT, history(CHAT, {"1": CANARY})))
        await eventually(lambda: models.asked_quarantined)
        asked.gate.gateway.signal(signal.SIGTERM)
        got = await sending
        assert got.response.status == 503
        assert models.forwarded == []
        record, children = await asked.records(got, 2)
        assert record["outcome"] == "draining"
        assert [(child["outcome"], child["error_kind"]) for child in children] == [
            ("ok", None),
            ("draining", "overloaded"),
        ]
