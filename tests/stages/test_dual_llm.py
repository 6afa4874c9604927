"""The stage with scripted models in memory: what is asked, how often, within which bounds, and what is remembered."""

import asyncio

import msgspec
import pytest

from gateway.core.dual_llm import CATCH_ALL, DualLlm
from gateway.core.errors import BadRequest, UpstreamReset
from gateway.core.interaction import Interaction, Principal
from gateway.core.policies import Guard
from gateway.core.snapshot import Snapshot, Snapshots
from gateway.providers import load
from gateway.stages import dual_llm
from gateway.stages.dual_llm import CONCURRENCY, TOKEN_BUDGET, DualLlmStage, Reply

PROVIDER = load()["openai"]
MATCH = PROVIDER.match("POST", "/chat/completions")
NOTICE = "[The result of read was withheld: it is not trusted, and could not be summarised.]"


def interaction(*results, agent="support", task="Sort my mail.", guard=None):
    calls = [
        {"id": str(n), "type": "function", "function": {"name": "read", "arguments": "{}"}}
        for n, _ in enumerate(results)
    ]
    told = [{"role": "tool", "tool_call_id": str(n), "content": text} for n, text in enumerate(results)]
    said = [{"role": "user", "content": task}, {"role": "assistant", "tool_calls": calls}, *told]
    i = Interaction("i", PROVIDER, MATCH.endpoint, {})
    i.request = MATCH.endpoint.request(msgspec.json.encode({"model": "m", "messages": said}))
    i.principal = Principal(agent)
    i.guard = guard or Guard()
    i.quarantined = list(i.request.tool_results)
    return i


def forwarded(i):
    said = msgspec.json.decode(i.request.encode())
    return [message["content"] for message in said["messages"] if message["role"] == "tool"]


class Models:
    """Both models; the main one asks whether the text is good, and tells what it learnt."""

    def __init__(self, pause=0.0, tokens=10, fails=0):
        self.asked = []
        self.pause = pause
        self.tokens = tokens
        self.fails = fails
        self.running = self.most = 0

    async def __call__(self, i, model, asked, seconds):
        self.asked.append((model, asked, seconds))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.pause)
        finally:
            self.running -= 1
        if self.fails:
            self.fails -= 1
            raise UpstreamReset("It broke.")
        return Reply(self.say(msgspec.json.decode(asked.prompt.turns[0][1].partition("\n")[2])), self.tokens)

    @staticmethod
    def say(data):
        if "text" in data:
            return '{"answer": 1}' if "good" in data["text"] else '{"answer": 2}'
        if "questions_left" not in data:
            return f"It is {data['asked'][0]['answer']}."
        return '{"question": "Is it good?", "options": ["good", "bad"]}' if not data["asked"] else "Done."

    @property
    def questions(self):
        return sum(asked.quarantined for _, asked, _ in self.asked)


class Store:
    """Where summaries outlive a stage."""

    def __init__(self):
        self.texts = {}
        self.loads = 0
        self.fails = False
        self.slow = 0.0

    async def load(self, keys):
        self.loads += 1
        await asyncio.sleep(self.slow)
        if self.fails:
            raise ConnectionError
        return {key: self.texts[key] for key in keys if key in self.texts}

    async def save(self, key, text):
        await asyncio.sleep(self.slow)
        if self.fails:
            raise ConnectionError
        return self.texts.setdefault(key, text)


def stage(models, store=None, **options):
    snapshots = Snapshots(Snapshot(dual_llm=DualLlm(**options)))
    return DualLlmStage(snapshots, models, *((store.load, store.save) if store else ()))


def summary(learnt):
    return f"[Summary of an untrusted result of read, made without passing on its text]\nIt is {learnt}."


async def test_each_result_gets_its_own_summary():
    i = interaction("all good", "odd", "very good", "")
    models = Models()
    await stage(models, main_model="a/main", quarantined_model="b/other").on_request(i)
    empty = "[Summary of an untrusted result of read, made without passing on its text]\nIt holds no text."
    assert forwarded(i) == [summary("good"), summary("bad"), summary("good"), empty]
    assert not i.context_untrusted
    assert i.decisions == []
    assert {(model, asked.quarantined) for model, asked, _ in models.asked} == {
        ("a/main", False),
        ("b/other", True),
    }
    note = i.notes["dual_llm"]
    assert (note.summarised, note.remembered, note.withheld, note.questions, note.tokens) == (
        4,
        0,
        0,
        12,
        120,
    )
    assert i.waited > 0


async def test_without_such_results_nothing_happens():
    for i in (interaction(), interaction("good")):
        if i.quarantined:
            i.source = "dual_llm"
        body = i.request.body
        await stage(Models()).on_request(i)
        assert i.request.encode() is body
        assert i.notes == {}


async def test_a_failure_says_why_and_that_is_all(caplog):
    i = interaction("good", "odd")
    models = Models(fails=1)
    await stage(models).on_request(i)
    assert forwarded(i) == [NOTICE, summary("bad")]
    assert i.context_untrusted
    (decision,) = i.decisions
    assert (decision.kind, decision.policy, decision.tool, decision.call_id) == (
        "result",
        "dual_llm",
        "read",
        "0",
    )
    assert (decision.blocked, decision.reason) == (True, "It broke.")
    assert (i.notes["dual_llm"].withheld, i.notes["dual_llm"].reasons) == (1, ["It broke."])


@pytest.mark.parametrize(
    "error", [ValueError("the secret text"), KeyError("x"), StopAsyncIteration(), TimeoutError()]
)
async def test_a_defect_withholds_and_tells_nothing(error):
    async def complete(*_):
        raise error

    i = interaction("good")
    await stage(complete).on_request(i)
    assert forwarded(i) == [NOTICE]
    assert i.context_untrusted
    assert "secret" not in i.decisions[0].reason


async def test_a_request_that_can_t_be_read_withholds_everything(monkeypatch):
    def tasks(*_):
        raise ValueError

    monkeypatch.setattr(dual_llm, "tasks", tasks)
    i = interaction("good", "odd")
    models = Models()
    await stage(models).on_request(i)
    assert forwarded(i) == [NOTICE, NOTICE]
    assert models.asked == []


async def test_a_result_that_can_t_be_replaced_stops_the_request(monkeypatch):
    i = interaction("good")
    monkeypatch.setattr(type(i.request), "set_tool_result", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await stage(Models()).on_request(i)


async def test_the_deadline_is_one_for_all():
    i = interaction(*(f"good {n}" for n in range(CONCURRENCY + 2)))
    models = Models(pause=0.04)
    began = asyncio.get_running_loop().time()
    await stage(models, deadline=0.2).on_request(i)
    assert asyncio.get_running_loop().time() - began < 0.4
    assert models.most == CONCURRENCY
    assert forwarded(i) == [summary("good")] * CONCURRENCY + [NOTICE] * 2
    assert all(0 < seconds <= 0.2 for _, _, seconds in models.asked)
    assert "deadline" in i.decisions[0].reason


@pytest.mark.parametrize("tokens", [TOKEN_BUDGET // 20, None])
async def test_the_budget_is_one_for_all(tokens):
    i = interaction(*("good " * 12_000 + str(n) for n in range(40)))
    models = Models(tokens=tokens)
    await stage(models).on_request(i)
    found = forwarded(i)
    assert 0 < found.count(NOTICE) < 40
    assert len(models.asked) < 4 * 40
    assert f"more than {TOKEN_BUDGET} tokens" in i.decisions[0].reason
    if tokens is None:
        assert i.notes["dual_llm"].tokens <= TOKEN_BUDGET * 1.1


async def test_what_was_asked_is_remembered():
    models = Models()
    asking = stage(models)
    for _ in range(3):
        i = interaction("good", "odd", "good")
        await asking.on_request(i)
        assert forwarded(i) == [summary("good"), summary("bad"), summary("good")]
    assert models.questions == 2
    assert i.notes["dual_llm"].remembered == 3


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        ({"agent": "other"}, 2),
        ({"task": "Another."}, 2),
        (
            {
                "guard": Guard(
                    defaults=msgspec.structs.replace(Guard().defaults, result="sanitize_with_dual_llm")
                )
            },
            2,
        ),
        ({}, 1),
    ],
    ids=["agent", "task", "policies", "nothing"],
)
async def test_for_whom_it_is_remembered(change, asked):
    models = Models()
    asking = stage(models)
    await asking.on_request(interaction("good"))
    await asking.on_request(interaction("good", **change))
    assert models.questions == asked


async def test_parts_of_a_key_can_t_run_into_each_other():
    models = Models()
    asking = stage(models)
    await asking.on_request(interaction("good", agent="ab", task="c"))
    await asking.on_request(interaction("good", agent="a", task="bc"))
    assert models.questions == 2


async def test_two_at_once_ask_once():
    models = Models(pause=0.02)
    asking = stage(models)
    found = [interaction("good", "odd") for _ in range(5)]
    await asyncio.gather(*map(asking.on_request, found))
    assert [forwarded(i) for i in found] == [[summary("good"), summary("bad")]] * 5
    assert models.questions == 2


async def test_whoever_waited_for_one_that_failed_asks_itself():
    models = Models(pause=0.02, fails=1)
    asking = stage(models)
    first, second = interaction("good"), interaction("good")
    await asyncio.gather(asking.on_request(first), asking.on_request(second))
    assert forwarded(first) == [NOTICE]
    assert forwarded(second) == [summary("good")]


async def test_whoever_waited_for_one_that_left_asks_itself():
    models = Models(pause=0.05)
    asking = stage(models)
    first, second = interaction("good"), interaction("good")
    leaving = asyncio.get_running_loop().create_task(asking.on_request(first))
    waiting = asyncio.get_running_loop().create_task(asking.on_request(second))
    await asyncio.sleep(0.02)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await waiting
    assert forwarded(second) == [summary("good")]
    assert models.running == 0


async def test_whoever_waits_has_a_deadline_too():
    models = Models(pause=0.3)
    asking = stage(models, deadline=0.05)
    patient = interaction("good")
    patient_stage = asyncio.get_running_loop().create_task(asking.on_request(patient))
    await asyncio.sleep(0)
    began = asyncio.get_running_loop().time()
    i = interaction("good")
    await asking.on_request(i)
    assert asyncio.get_running_loop().time() - began < 0.2
    assert forwarded(i) == [NOTICE]
    await patient_stage


async def test_another_process_gets_the_same_bytes():
    store = Store()
    await stage(Models(), store).on_request(interaction("good", "odd"))
    models = Models()
    models.say = lambda _: pytest.fail("nobody is asked")
    i = interaction("good", "odd")
    await stage(models, store).on_request(i)
    assert forwarded(i) == [summary("good"), summary("bad")]
    assert store.loads == 2


async def test_the_first_that_is_stored_holds():
    store = Store()
    early = stage(Models(), store)
    await early.on_request(interaction("good"))
    ((key, _),) = store.texts.items()
    store.texts[key] = "what another process has stored meanwhile"
    late = DualLlmStage(Snapshots(Snapshot()), Models(), save=store.save)
    i = interaction("good")
    await late.on_request(i)
    assert forwarded(i) == ["what another process has stored meanwhile"]


@pytest.mark.parametrize("how", ["fails", "slow"])
async def test_a_store_that_is_away_costs_a_question(monkeypatch, how):
    monkeypatch.setattr(dual_llm, "_STORE", 0.02)
    store = Store()
    models = Models()
    asking = stage(models, store)
    setattr(store, how, 1.0)
    for _ in range(2):
        i = interaction("good")
        await asking.on_request(i)
        assert forwarded(i) == [summary("good")]
    assert models.questions == 1


async def test_what_is_used_for_long_is_told_to_the_store_and_kept(monkeypatch):
    store = Store()
    models = Models()
    asking = stage(models, store)
    await asking.on_request(interaction("good"))
    monkeypatch.setattr(dual_llm, "_FRESH", -1.0)
    await asking.on_request(interaction("good"))
    assert store.loads == 2
    store.texts.clear()  # as retention may
    i = interaction("good")
    await asking.on_request(i)
    assert forwarded(i) == [summary("good")]
    assert [*store.texts.values()] == [summary("good")]
    assert models.questions == 1


async def test_memory_has_a_bound(monkeypatch):
    monkeypatch.setattr(dual_llm, "_MEMORY", 3 * dual_llm._size(summary("good")))
    models = Models()
    asking = stage(models)
    for n in range(5):
        await asking.on_request(interaction(f"good {n}"))
    await asking.on_request(interaction("good 4", "good 2"))
    assert models.questions == 5
    await asking.on_request(interaction("good 0"))
    assert models.questions == 6


async def test_rounds_are_those_of_the_settings():
    class Asking(Models):
        @staticmethod
        def say(data):
            if "questions_left" in data:
                return '{"question": "Is it good?", "options": ["good", "bad"]}'
            return '{"answer": 9}' if "text" in data else f"It is {data['asked'][-1]['answer']}"

    models = Asking()
    i = interaction("good")
    await stage(models, max_rounds=2).on_request(i)
    assert models.questions == 2
    assert forwarded(i)[0].endswith(CATCH_ALL)


@pytest.mark.parametrize(
    ("message", "plain"),
    [
        (b'{"role":"tool","tool_call_id":"0","content":"odd","content":"good"}', False),
        (b'{"role":"tool","tool_call_id":"0","c\\u006fntent":"odd","content":"good"}', False),
        (b'{"role":"tool","tool_call_id":"0","x":[{"a":1,"a":2}],"content":"good"}', False),
        (b'{"role":"tool","tool_call_id":"0","x":[{"a":1.0e0},{"a":"\\u0061"}],"content":"good"}', True),
        # Of numbers that no decoder takes nobody reads any.
        (b'{"role":"tool","tool_call_id":"0","x":%b,"content":"good"}' % (b"1" * 5000), True),
        (b'{"role":"tool","tool_call_id":"0","x":-1e999,"content":"good"}', True),
        (
            b'{"role":"tool","tool_call_id":"0","x":%b,"content":"odd","content":"good"}' % (b"1" * 5000),
            False,
        ),
    ],
)
@pytest.mark.parametrize("single", [False, True])
async def test_of_two_equal_keys_a_provider_could_read_the_other(message, plain, single):
    i = interaction("good")
    said = b'{"model":"m","messages":[{"role":"user","content":"x"} , ' + message + b"]}"
    i.request = MATCH.endpoint.request(said)
    i.quarantined = list(i.request.tool_results)
    if single:  # a history that is no array is looked at as a whole
        i.request.history = ()
    if plain:
        await stage(Models()).on_request(i)
        replaced = msgspec.json.encode(summary("good").replace("read", "a tool")).join(
            message.rsplit(b'"good"', 1)
        )
        assert i.request.encode() == said.replace(message, replaced)
    else:
        with pytest.raises(BadRequest, match="a key twice"):
            await stage(Models()).on_request(i)


async def test_what_is_nested_too_deeply_to_be_looked_at_is_refused():
    i = interaction("good")
    deep = b"[" * 5000 + b"]" * 5000
    element = b'{"role":"tool","tool_call_id":"0","content":"good","x":' + deep + b"}"
    i.request.__dict__["pieces"] = (b"", (b"", b"", element), b"")
    with pytest.raises(BadRequest, match="nested too deeply"):
        await stage(Models()).on_request(i)


async def test_a_record_holds_so_many_decisions_and_no_more():
    i = interaction(*("good" for _ in range(250)))
    await stage(Models(fails=1)).on_request(i)
    assert forwarded(i) == [NOTICE] * 250
    assert [decision.call_id for decision in i.decisions] == [str(n) for n in range(100)]
    assert i.notes["dual_llm"].withheld == 250
