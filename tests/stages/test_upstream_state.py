"""What is remembered of answers that providers keep, and what happens where nothing is."""

from typing import Any

import msgspec
import pytest

from gateway.core.entities import ToolInvocationPolicy, TrustedDataPolicy
from gateway.core.errors import Forbidden, NotEvaluated, ReplayNeeded
from gateway.core.interaction import Interaction, Principal, new_id
from gateway.core.policies import NO_POLICIES, Guard, Policies
from gateway.core.rules import DefaultPolicies
from gateway.core.view import Finish, FinishReason, Start, ToolCallDelta
from gateway.providers import load
from gateway.stages import upstream_state
from gateway.stages.upstream_state import UpstreamState

PROVIDERS = load()
PATHS = {
    "responses": ("openai", "/responses"),
    "chat": ("openai", "/chat/completions"),
    "anthropic": ("anthropic", "/v1/messages"),
    "gemini": ("gemini", "/v1beta/models/m:generateContent"),
    "count": ("openai", "/responses/input_tokens"),
}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "7 degrees"}
NEXT = {"previous_response_id": "resp_1", "input": [OUTPUT]}


def guard(*policies: Any, call: Any = "allow_when_context_is_untrusted", agent: str = "a") -> Guard:
    calls = [policy for policy in policies if isinstance(policy, ToolInvocationPolicy)]
    results = [policy for policy in policies if isinstance(policy, TrustedDataPolicy)]
    return Policies(calls, results, DefaultPolicies(call=call)).guard(frozenset({agent}), frozenset())


ENFORCED = guard(ToolInvocationPolicy(id="p", tool="send_mail", action="block_always"))
STRICT = guard(call="block_when_context_is_untrusted")
TRUSTING = guard(TrustedDataPolicy(id="t", tool="*", action="mark_as_trusted"))


def interaction(
    body: dict[str, Any],
    guarded: Guard = TRUSTING,
    wire: str = "responses",
    agent: str = "a",
    provider: str = "",
) -> Interaction:
    name, path = PATHS[wire]
    match = PROVIDERS[name].match("POST", path)
    assert match
    i = Interaction(new_id(1.0), PROVIDERS[provider or name], match.endpoint, {})
    i.request = match.endpoint.request(msgspec.json.encode(body), match.params)
    i.principal = Principal(agent)
    i.guard = guarded
    return i


async def asked(
    state: UpstreamState, body: dict[str, Any], guarded: Guard = TRUSTING, **more: Any
) -> Interaction:
    i = interaction(body, guarded, **more)
    await state.on_request(i)
    return i


def answer(i: Interaction, *calls: tuple[str, str], id_: str = "resp_1", server: bool = False) -> Interaction:
    i.completion.apply(Start(id_, "m"))
    for index, (call, name) in enumerate(calls):
        i.completion.apply(ToolCallDelta(index, call, name, "{}", server))
    i.completion.apply(Finish(FinishReason.TOOL_CALLS if calls else FinishReason.STOP))
    return i


async def answered(state: UpstreamState, guarded: Guard = TRUSTING, **more: Any) -> Interaction:
    """One turn that the provider keeps, with one call."""
    return answer(await asked(state, {"input": "Hi"}, guarded, **more), ("call_1", "get_weather"))


def names(i: Interaction) -> list[str]:
    return [result.name for result in i.request.tool_results]


def note(i: Interaction) -> Any:
    return i.notes.get("upstream_state")


@pytest.mark.parametrize("done", [False, True], ids=["at once", "later"])
async def test_the_name_of_a_call_is_that_of_the_answer_before(done):
    state = UpstreamState()
    first = await answered(state, TRUSTING)
    if done:
        await state.on_done([first])
        first.drop_bodies()
    second = await asked(state, NEXT, TRUSTING)
    assert names(second) == ["get_weather"]
    assert not second.context_untrusted
    assert note(second).remembered
    assert note(second).hidden == ()
    assert second.request.encode() is second.request.body


@pytest.mark.parametrize(
    "other", [{"agent": "b"}, {"provider": "xai"}, {"wire": "anthropic"}], ids=["agent", "provider", "wire"]
)
async def test_nobody_else_s_answers_are_remembered(other):
    state = UpstreamState()
    await state.on_done([await answered(state, TRUSTING)])
    body = NEXT
    if "wire" in other:
        block = {"type": "tool_result", "tool_use_id": "call_1", "content": "x"}
        body = {
            "thread": {"type": "continue", "previous_message_id": "resp_1"},
            "messages": [{"role": "user", "content": [block]}],
        }
    second = await asked(state, body, TRUSTING, **other)
    assert names(second) == [""]
    assert second.context_untrusted
    assert note(second).hidden == ("thread" if "wire" in other else "previous_response_id",)


@pytest.mark.parametrize("guarded", [NO_POLICIES, TRUSTING], ids=["none", "of results"])
async def test_what_is_not_remembered_is_untrusted_and_passes_without_policies_on_calls(guarded):
    state = UpstreamState()
    second = await asked(state, NEXT, guarded)
    assert second.request.encode() is second.request.body
    if guarded is NO_POLICIES:
        assert not second.notes  # nothing comes of it, so nobody has looked yet
    await state.on_done([second])
    assert second.context_untrusted
    assert note(second).hidden == ("previous_response_id",)
    assert names(second) == [""]


async def test_what_can_t_be_read_of_one_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch):
    state = UpstreamState()
    one, other = await asked(state, NEXT, NO_POLICIES), await asked(state, NEXT, NO_POLICIES)
    monkeypatch.setattr(type(one.request), "hidden", property(lambda request: {}[request] if request is one.request else ()))  # fmt: skip
    await state.on_done([one, answer(other)])
    assert len(state._answers) == 1


@pytest.mark.parametrize("why", ["nothing", "request", "results", "server tool", "cut", "forgotten body"])
async def test_a_conversation_stays_untrusted(why):
    state = UpstreamState()
    guarded = NO_POLICIES if why in ("results", "forgotten body") else TRUSTING
    first = interaction({"input": [OUTPUT] if why == "results" else "Hi"}, guarded)
    first.context_untrusted = why == "request"
    await state.on_request(first)
    if why == "cut":
        first.completion.apply(Start("resp_1", "m"))
    else:
        answer(first, ("ws_1", "web_search"), server=True) if why == "server tool" else answer(first)
    if why == "server tool":
        first.guard = guarded = guard(TrustedDataPolicy(id="t", tool="other", action="mark_as_trusted"))
    if why == "forgotten body":
        first.drop_bodies()
    await state.on_done([first])
    second = await asked(state, NEXT, guarded)
    await state.on_done([second])
    assert second.context_untrusted is (why != "nothing")


async def test_other_policies_trust_nothing_that_they_have_not_seen():
    state = UpstreamState()
    await state.on_done([await answered(state, TRUSTING)])
    other = guard(TrustedDataPolicy(id="u", tool="*", action="mark_as_trusted"))
    assert not (await asked(state, NEXT, TRUSTING)).context_untrusted
    assert (await asked(state, NEXT, other)).context_untrusted


async def test_a_server_tool_that_policies_trust_leaves_a_conversation_trusted():
    state = UpstreamState()
    answer(await asked(state, {"input": "Hi"}, TRUSTING), ("ws_1", "web_search"), server=True)
    assert not (await asked(state, NEXT, TRUSTING)).context_untrusted


@pytest.mark.parametrize("why", ["refused", "not evaluated"])
@pytest.mark.parametrize("guarded", [NO_POLICIES, ENFORCED], ids=["another stage", "enforced"])
async def test_an_answer_that_the_client_did_not_get_is_replayed(why, guarded):
    state = UpstreamState()
    first = await answered(state)
    if why == "refused":
        first.refusal = "denied"
    else:
        first.fail(NotEvaluated("unreadable"))
    second = interaction(NEXT, guarded)
    second.hold = True
    with pytest.raises(ReplayNeeded) as raised:
        await state.on_request(second)
    assert raised.value.member == "previous_response_id"


async def test_nothing_is_kept_where_calls_may_be_refused():
    state = UpstreamState()
    first = answer(await asked(state, {"input": "Hi", "store": True}, ENFORCED), ("call_1", "get_weather"))
    assert msgspec.json.decode(first.request.encode()) == {"input": "Hi", "store": False}
    assert note(first).forgotten
    await state.on_done([first])
    with pytest.raises(ReplayNeeded):
        await asked(state, NEXT, ENFORCED)


async def test_an_answer_from_before_the_policies_is_gone_on_from_and_untrusted():
    state = UpstreamState()
    await state.on_done([await answered(state)])
    second = await asked(state, NEXT, ENFORCED)
    assert names(second) == ["get_weather"]
    assert second.context_untrusted
    assert msgspec.json.decode(second.request.encode()) == NEXT | {"store": False}


@pytest.mark.parametrize("body", [{"store": False}, {"store": False, "input": []}])
async def test_a_request_that_keeps_nothing_stays_as_it_is(body):
    i = await asked(UpstreamState(), body, ENFORCED)
    assert i.request.encode() is i.request.body
    assert not i.notes
    assert not i.context_untrusted


REPLAYED: list[tuple[str, dict[str, Any], str]] = [
    ("responses", {"previous_response_id": "resp_9"}, "previous_response_id"),
    ("responses", {"conversation": "conv_1"}, "conversation"),
    ("responses", {"store": False, "input": [{"type": "item_reference", "id": "fc_1"}]}, "input[0]"),
    ("anthropic", {"thread": {"type": "continue", "previous_message_id": "msg_1"}}, "thread"),
    ("anthropic", {"thread": {"type": "tomorrow"}}, "thread"),
]


@pytest.mark.parametrize(("wire", "body", "member"), REPLAYED)
async def test_what_nobody_here_has_seen_is_replayed_under_policies(wire, body, member):
    i = await asked(UpstreamState(), body, wire=wire)
    assert (i.context_untrusted, note(i).hidden) == (True, (member,))
    assert i.request.encode() is i.request.body
    with pytest.raises(ReplayNeeded, match="no policy on tool calls") as raised:
        await asked(UpstreamState(), body, ENFORCED, wire=wire)
    assert raised.value.member == member


async def test_a_thread_is_not_begun_under_policies_and_never_gone_on_with():
    state = UpstreamState()
    thread = {"thread": {"type": "create"}, "model": "m"}
    i = await asked(state, thread, ENFORCED, wire="anthropic")
    assert msgspec.json.decode(i.request.encode()) == {"model": "m"}
    answer(await asked(state, thread, wire="anthropic"), id_="msg_1")
    going_on = {"thread": {"type": "continue", "previous_message_id": "msg_1"}}
    assert note(await asked(state, going_on, wire="anthropic")).remembered
    with pytest.raises(ReplayNeeded) as raised:
        await asked(state, going_on, ENFORCED, wire="anthropic")
    assert raised.value.member == "thread"


CONTEXT: list[tuple[str, dict[str, Any], str]] = [
    ("responses", {"input": [{"type": "compaction", "encrypted_content": "x"}]}, "input[0]"),
    ("responses", {"prompt": {"id": "pmpt_1"}}, "prompt"),
    ("anthropic", {"container": "container_1"}, "container"),
    ("gemini", {"cachedContent": "cachedContents/1"}, "cachedContent"),
]


@pytest.mark.parametrize("guarded", [TRUSTING, ENFORCED], ids=["open", "enforced"])
@pytest.mark.parametrize(("wire", "body", "member"), CONTEXT)
async def test_what_no_client_can_send_makes_the_conversation_untrusted(wire, body, member, guarded):
    i = await asked(UpstreamState(), body, guarded, wire=wire)
    assert i.context_untrusted
    assert note(i).hidden == (member,)


@pytest.mark.parametrize(
    "guarded",
    [
        STRICT,
        guard(call="block_always"),
        guard(ToolInvocationPolicy(id="p", tool="*", action="block_when_context_is_untrusted")),
    ],
    ids=["default when untrusted", "default", "glob"],
)
@pytest.mark.parametrize(("wire", "body", "member"), CONTEXT)
async def test_tools_that_nobody_sees_are_refused_as_unknown_ones_are(wire, body, member, guarded):
    if member not in ("prompt", "cachedContent"):
        await asked(UpstreamState(), body, guarded, wire=wire)
        return
    with pytest.raises(Forbidden, match=rf"^{member} may bring tools .*denied by a tool invocation policy"):
        await asked(UpstreamState(), body, guarded, wire=wire)


@pytest.mark.parametrize(
    ("wire", "body", "member"),
    [("responses", {"background": True}, "background"), ("chat", {"deferred": True}, "deferred")],
)
async def test_answers_that_are_fetched_elsewhere(wire, body, member):
    i = await asked(UpstreamState(), body, wire=wire)
    assert not i.context_untrusted
    assert i.request.encode() is i.request.body
    with pytest.raises(Forbidden, match=f"^{member} has the answer fetched"):
        await asked(UpstreamState(), body, ENFORCED, wire=wire)


async def test_calls_are_known_where_only_items_are_referred_to():
    state = UpstreamState()
    await answered(state)
    body = {"input": [{"type": "item_reference", "id": "fc_1"}, OUTPUT]}
    assert names(await asked(state, body)) == ["get_weather"]
    assert names(await asked(state, body, agent="b")) == [""]
    conversation = {"conversation": "conv_1", "input": [OUTPUT]}
    assert names(await asked(state, conversation)) == ["get_weather"]


async def test_counting_and_the_gateway_s_own_questions_are_left_alone():
    state = UpstreamState()
    i = await asked(state, NEXT, ENFORCED, wire="count")
    assert not (i.context_untrusted or i.notes)
    own = interaction(NEXT, ENFORCED)
    own.source = "dual_llm"
    await state.on_request(own)
    assert own.request.encode() is own.request.body


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(upstream_state, "_MOST", 3)
    monkeypatch.setattr(upstream_state, "_MOST_PENDING", 2)
    state = UpstreamState()
    for number in range(6):
        first = await asked(state, {"input": "Hi"}, TRUSTING)
        answer(first, (f"call_{number}", "f"), id_=f"resp_{number}")
    assert (len(state._pending), len(state._answers), len(state._calls)) == (2, 3, 3)
    known = []
    for number in range(6):
        output = OUTPUT | {"call_id": f"call_{number}"}
        i = await asked(state, {"previous_response_id": f"resp_{number}", "store": False, "input": [output]})
        known.append(names(i)[0])
    assert known == ["", *["f"] * 5]


async def test_an_answer_that_never_came_is_forgotten():
    state = UpstreamState()
    first = await asked(state, {"input": "Hi"})
    await state.on_done([first, interaction({"input": "Hi"})])
    assert not state._pending
    assert not state._answers
