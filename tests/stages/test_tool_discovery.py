"""Which tools are told of: every wire's, once, and nothing that must not be stored."""

import gc
import sys
from time import perf_counter

import msgspec
import pytest
from structlog.testing import capture_logs

from gateway.core.adapter import RequestAdapter
from gateway.core.discovery import LONGEST_DESCRIPTION, LONGEST_NAME, LONGEST_SCHEMA
from gateway.core.interaction import Credential, Interaction, Principal, new_id
from gateway.core.redaction import Redactor
from gateway.core.view import Tool
from gateway.providers import load
from gateway.stages.tool_discovery import ToolDiscovery

PROVIDERS = load()
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}


def chat(*names, description="Reads.", schema=SCHEMA, extra=None):
    tools = [
        {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}
        for name in names
    ]
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": [*tools, *(extra or ())]}


def function(name):
    return {"type": "function", "name": name, "description": "Reads.", "parameters": SCHEMA}


WIRES = {
    "openai chat": (
        "openai",
        "/chat/completions",
        chat("read", extra=[{"type": "web_search"}]),
        "web_search",
    ),
    "openai responses": (
        "openai",
        "/responses",
        {"model": "m", "input": "hi", "tools": [function("read"), {"type": "web_search"}]},
        "web_search",
    ),
    "anthropic": (
        "anthropic",
        "/v1/messages",
        {
            "model": "m",
            "max_tokens": 5,
            "messages": [{"role": "user", "content": "hi"}],
            "tools": [
                {"name": "read", "description": "Reads.", "input_schema": SCHEMA},
                {"type": "web_search_20250305", "name": "web_search"},
            ],
        },
        "web_search",
    ),
    "gemini": (
        "gemini",
        "/v1beta/models/m:generateContent",
        {
            "contents": [{"parts": [{"text": "hi"}]}],
            "tools": [
                {"functionDeclarations": [{"name": "read", "description": "Reads.", "parameters": SCHEMA}]},
                {"googleSearch": {}},
            ],
        },
        "googleSearch",
    ),
}


def interaction(provider, path, body, *, agent="support", at=100.0, **fields):
    made = PROVIDERS[provider]
    match = made.match("POST", path)
    i = Interaction(new_id(1.0), made, match.endpoint, {}, started=at, started_at=1000.0 + at, **fields)
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    i.request = match.endpoint.request(raw, match.params, made.row.quirks)
    i.principal = Principal(agent) if agent else None
    i.client = "sdk/1"
    return i


def chatted(*names, at=100.0, agent="support", description="Reads.", schema=SCHEMA, extra=None):
    body = chat(*names, description=description, schema=schema, extra=extra)
    return interaction("openai", "/chat/completions", body, at=at, agent=agent)


class Told:
    """What the stage told of; while it is full, nothing is taken."""

    def __init__(self):
        self.batches = []
        self.ids = set()
        self.full = False

    def __call__(self, sightings):
        if not self.full:
            self.batches.append([(each.agent, each.kind, each.name) for each in sightings])
            self.ids |= {each.tool for each in sightings}
            self.last = sightings
        return not self.full

    @property
    def all(self):
        return [each for batch in self.batches for each in batch]


@pytest.fixture
def told():
    return Told()


@pytest.mark.parametrize("wire", WIRES)
async def test_functions_and_what_the_provider_runs_on_every_wire(told, wire):
    provider, path, body, built_in = WIRES[wire]
    await ToolDiscovery(told).on_done([interaction(provider, path, body)])
    assert set(told.all) == {("support", "function", "read"), ("support", "built_in", built_in)}
    read = next(each for each in told.last if each.kind == "function")
    assert (read.description, read.client, read.at) == ("Reads.", "sdk/1", 1100.0)
    assert msgspec.json.decode(read.parameters) == SCHEMA
    assert read.parameters_bytes == len(read.parameters)


@pytest.mark.parametrize("wire", WIRES)
async def test_what_is_declared_again_is_not_even_read(told, wire, monkeypatch):
    provider, path, body, _ = WIRES[wire]
    stage = ToolDiscovery(told)
    await stage.on_done([interaction(provider, path, body)])
    again = interaction(provider, path, body, at=200.0)
    monkeypatch.setattr(type(again.request), "tools", property(lambda _: pytest.fail("it was read")))
    await stage.on_done([again])
    assert len(told.batches) == 1


@pytest.mark.parametrize(
    ("provider", "path", "member", "item"),
    [
        ("openai", "/responses", "input", {"type": "additional_tools", "tools": [function("later")]}),
        ("openai", "/responses", "input", {"tools": [function("later")], "type": "mcp_list_tools"}),
        (
            "anthropic",
            "/v1/messages",
            "messages",
            {
                "role": "user",
                "content": [{"type": "tool_addition", "tool": {"type": "tool_definition", "name": "later"}}],
            },
        ),
    ],
)
async def test_what_the_history_brings(told, provider, path, member, item):
    stage = ToolDiscovery(told)
    body = {"model": "m", "max_tokens": 5, member: [{"role": "user", "content": "x" * 9000}]}
    await stage.on_done([interaction(provider, path, body)])
    assert told.all == []
    body[member].append(item)
    i = interaction(provider, path, body)
    names = {tool.name for tool in i.request.tools}
    await stage.on_done([i])
    assert {name for _, _, name in told.all} == names


class Plain(RequestAdapter):
    """An adapter that says nothing of where tools are declared."""

    history = ("said",)
    tools = (Tool("read"),)


async def test_an_adapter_need_not_say_where_tools_are_declared(told, monkeypatch):
    stage = ToolDiscovery(told)
    i = chatted()
    i.request = Plain(b'{"tools":["read"],"said":[1]}')
    await stage.on_done([i])
    assert told.all == [("support", "function", "read")]
    monkeypatch.setattr(Plain, "tools", property(lambda _: pytest.fail("it was read")))
    i.request = Plain(b'{"tools":["read"],"said":[1,2]}')
    await stage.on_done([i])
    monkeypatch.setattr(Plain, "tools", (Tool("read"), Tool("write")))
    i.request = Plain(b'{"tools":["read","write"],"said":[1,2]}')
    await stage.on_done([i])
    assert told.all[1:] == [("support", "function", "write")]


async def test_it_is_told_of_anew_after_an_hour(told):
    stage = ToolDiscovery(told)
    for at in (0.0, 3599.0, 3600.0, 3601.0):
        await stage.on_done([chatted("read", at=at)])
    assert [batch[0][2] for batch in told.batches] == ["read", "read"]


async def test_a_changed_one_is_told_of_alone(told):
    stage = ToolDiscovery(told)
    await stage.on_done([chatted("a", "b")])
    first = {each.name: each.version for each in told.last}
    await stage.on_done([chatted("a", "b", "c")])
    assert [name for _, _, name in told.batches[1]] == ["c"]
    await stage.on_done([chatted("a", description="Reads files.")])
    [changed] = told.last
    assert changed.name == "a"
    assert changed.version != first["a"]
    await stage.on_done([chatted("a", schema={"type": "object"})])
    assert told.last[0].version not in (first["a"], changed.version)


async def test_order_and_white_space_of_a_schema_say_nothing(told):
    stage = ToolDiscovery(told)
    await stage.on_done([chatted("a", schema={"x": 1, "y": {"p": 1, "q": 2}})])
    again = b'{ "y" : {"q":2, "p":1}, "x": 1}'
    await stage.on_done([chatted("a", schema=msgspec.Raw(again))])
    assert len(told.batches) == 1


async def test_of_each_agent(told):
    stage = ToolDiscovery(told)
    await stage.on_done([chatted("a"), chatted("a", agent="sales"), chatted("a")])
    assert told.all == [("support", "function", "a"), ("sales", "function", "a")]
    assert len(told.ids) == 2


async def test_whose_tools_are_not_told_of(told):
    body = chat("a")
    asked = ("openai", "/chat/completions", body)
    dropped = interaction(*asked)
    dropped.drop_bodies()
    strangers = interaction(*asked, agent="")
    ours = interaction(*asked, source="dual_llm", parent_id="p")
    counted = interaction("anthropic", "/v1/messages/count_tokens", WIRES["anthropic"][2])
    stage = ToolDiscovery(told)
    with capture_logs() as logs:
        await stage.on_done([dropped, strangers, ours, counted])
    assert (told.all, logs) == ([], [])
    await stage.on_done([interaction(*asked, source="chat")])
    assert told.all == [("support", "function", "a")]


async def test_what_there_was_no_room_for_comes_again(told):
    stage = ToolDiscovery(told)
    told.full = True
    await stage.on_done([chatted("a")])
    told.full = False
    await stage.on_done([chatted("a")])
    assert told.all == [("support", "function", "a")]


async def test_one_that_fails_leaves_the_others(told, monkeypatch):
    first, second = chatted("a"), interaction(*WIRES["anthropic"][:3])
    monkeypatch.setattr(type(first.request), "tools", property(lambda _: 1 / 0))
    await ToolDiscovery(told).on_done([first, second])
    assert {name for _, _, name in told.all} == {"read", "web_search"}


async def test_sizes_are_bounded(told):
    schema = {"x": "y" * LONGEST_SCHEMA}
    stage = ToolDiscovery(told)
    await stage.on_done(
        [chatted("n" * LONGEST_NAME, "n" * (LONGEST_NAME + 1), description="d" * 5000, schema=schema)]
    )
    [kept] = told.last
    assert (kept.name, stage.unfit) == ("n" * LONGEST_NAME, 1)
    assert kept.description == "d" * LONGEST_DESCRIPTION + f"[{5000 - LONGEST_DESCRIPTION} characters more]"
    assert (kept.parameters, kept.parameters_bytes) == (None, len(msgspec.json.encode(schema)))
    # What is not kept still tells one version from another.
    await stage.on_done(
        [chatted("n" * LONGEST_NAME, description="d" * 5000, schema={"x": "z" * LONGEST_SCHEMA})]
    )
    assert told.last[0].version != kept.version


async def test_so_many_of_one_request_and_no_more(told):
    await ToolDiscovery(told).on_done([chatted(*(f"t{n}" for n in range(1000)))])
    assert len(told.all) == 512


async def test_odd_declarations_cost_nothing(told):
    odd = [1, None, {}, {"type": "function"}, {"type": "function", "function": {"name": ""}}, {"type": 5}]
    deep = msgspec.Raw(b"[" * 900 + b"]" * 900)
    huge = msgspec.Raw(b'{"a":1e400}')
    await ToolDiscovery(told).on_done([chatted("ok", extra=odd)])
    await ToolDiscovery(told).on_done([chatted("deep", schema=deep)])
    await ToolDiscovery(told).on_done([chatted("huge", schema=huge)])
    assert {"ok", "deep", "huge"} <= {name for _, _, name in told.all}
    assert told.last[0].parameters is None


async def test_without_bodies_only_names_and_whether_they_changed(told):
    stage = ToolDiscovery(told, contents=False)
    await stage.on_done([chatted("a", description="said")])
    [first] = told.last
    assert (first.name, first.description, first.parameters) == ("a", "", None)
    await stage.on_done([chatted("a", description="said otherwise")])
    assert told.last[0].version != first.version


@pytest.mark.parametrize("rule", [r"SECRET\w*", "$.tools[*].function.name"])
async def test_a_name_that_is_redacted_is_not_stored(told, rule):
    stage = ToolDiscovery(told, Redactor([rule]))
    await stage.on_done([chatted("SECRET1")])
    assert told.all == []
    assert stage.unfit == 1


@pytest.mark.parametrize(
    "rules",
    [[r"SECRET\w*"], ["$.tools[*].function.description", "$.tools[*].function.parameters"]],
)
async def test_what_is_redacted_in_a_body_is_redacted_here(told, rules):
    stage = ToolDiscovery(told, Redactor(rules))
    schema = {"enum": ["SECRET2", "SECRET\u00333"]}
    await stage.on_done([chatted("a", description="Reads SECRET1.", schema=schema)])
    [kept] = told.last
    assert kept.name == "a"
    assert "SECRET" not in kept.description + (kept.parameters or "")
    assert "[redacted]" in kept.description


async def test_a_rule_that_leaves_no_document_leaves_no_tools(told):
    stage = ToolDiscovery(told, Redactor(["[{}]"]))
    await stage.on_done([chatted("a")])
    assert told.all == []


async def test_the_key_of_a_request_is_in_nothing_that_is_told(told):
    key = "sk-0123456789abcdef"
    i = chatted(key, "a", description=f"Use {key}.", schema={"default": key})
    i.credential = Credential(key=key)
    stage = ToolDiscovery(told)
    await stage.on_done([i])
    [kept] = told.last
    assert (kept.name, kept.description, kept.parameters) == ("a", "Use [redacted].", None)


async def test_what_is_known_is_bounded(told):
    stage = ToolDiscovery(told)
    stage._sets._most = 10
    for number in range(25):
        await stage.on_done([chatted(f"t{number}")])
    assert len(stage._sets) <= 10


async def test_ways_that_take_turns_are_each_told_of_once_an_hour(told):
    stage = ToolDiscovery(told)
    for at in range(100, 10_100, 500):
        await stage.on_done([chatted("a", at=at), chatted("b", at=at + 1), chatted("b", at=at + 2)])
    # At 100, 4100 and 8100.
    assert told.all == [("support", "function", name) for name in "ababab"]


async def test_what_is_compared_with_keeps_no_body_and_no_long_way(told):
    stage = ToolDiscovery(told)
    short = chatted("a")
    body = short.request.body
    await stage.on_done([short, chatted("b", agent="other", description="x" * 70_000)])
    assert list(stage._last) == ["support"]
    del short
    gc.collect()
    assert sys.getrefcount(body) == 2


async def test_twenty_tools_unchanged_cost_next_to_nothing(told):
    """Some microseconds of the request's own; the bound is generous, since other things run on this machine."""
    stage = ToolDiscovery(told)
    names = [f"tool_{number}" for number in range(20)]
    batch = [chatted(*names, description="Reads a file. " * 20) for _ in range(64)]
    await stage.on_done(batch[:1])
    gc.collect()
    best = min([await _timed(stage, batch) for _ in range(20)])
    assert best / len(batch) < 60e-6
    assert len(told.batches) == 1


async def _timed(stage, batch):
    start = perf_counter()
    await stage.on_done(batch)
    return perf_counter() - start
