"""What of the Responses API passes a gate: calls that two clients could read as two, and echoes that are no call."""

import msgspec
import openai
import pytest

from gateway.core.framing import framer_for
from gateway.core.relay import Relay
from gateway.core.view import Completion, ToolCall
from tests.providers.openai_responses_frames import (
    CALL,
    CREATED,
    DIFFERS,
    RID,
    SSE,
    TEXT,
    adapter,
    added,
    client,
    completed,
    done,
    encode,
    final,
    gated,
    piece,
    read,
    sse,
    whole,
)

JSON = "application/json"
CANARY = '{"canary":1}'


def judged(*events: dict) -> tuple[ToolCall, ...]:
    """The calls that a gate judges."""
    completion = Completion()
    for event in read(*events):
        completion.apply(event)
    return completion.tool_calls


def refused_to_judge(*events: dict) -> bool:
    """Whether a gate fails closed, and nothing of the canary leaves."""
    sent, relay = gated(sse(CREATED, *events))
    assert b"canary" not in sent
    return relay.failure is not None


def passed(body: bytes, content_type: str = SSE) -> Relay:
    """A gate that has read an answer without a call, which passes unchanged."""
    sent, relay = gated(body, content_type=content_type)
    assert (relay.failure, relay.held, relay.unknown) == (None, False, {})
    assert sent == body
    return relay


def item(kind: str, member: str, value: object, **members: object) -> dict:
    return {"type": kind, "id": "i_1", "call_id": "call_1", "status": "completed", member: value, **members}


def shell(*command: str, **members: object) -> dict:
    action = {"type": "exec", "command": command, "env": {"NAME": "x", "TYPE": "y"}, "timeout_ms": None}
    return item("local_shell_call", "action", action | members)


def patch(diff: str, **members: object) -> dict:
    return item("apply_patch_call", "operation", {"type": "create_file", "path": "a", "diff": diff} | members)


async def test_both_of_action_and_actions_are_judged():
    both = item(
        "computer_call",
        "action",
        {"type": "wait"},
        actions=[{"type": "type", "text": "canary"}],
        pending_safety_checks=[],
    )
    body = encode({"id": RID, "object": "response", "model": "m", "status": "completed", "output": [both]})
    async with client(body, JSON) as sdk:
        (read_by_sdk,) = (await sdk.responses.create(model="m", input="hi")).output
    (call,) = judged(done(both))
    assert msgspec.json.decode(call.arguments) == {
        "action": read_by_sdk.action.to_dict(),
        "actions": [action.to_dict() for action in read_by_sdk.actions],
    }
    assert DIFFERS in read(done(both | {"actions": None}), done(both))
    assert judged(done(both | {"actions": []}))[0].arguments == '{"type":"wait"}'


RESTATED = [
    (shell("canary"), shell("ls")),
    (shell("ls", user="canary"), shell("ls")),
    (shell("ls", "canary"), shell("ls")),
    (
        item("shell_call", "action", {"commands": ["canary"]}),
        item("shell_call", "action", {"commands": ["ls"]}),
    ),
    (patch("canary"), patch("")),
    (patch("", path="canary"), patch("")),
    (
        item("computer_call", "action", {"type": "type", "text": "canary"}),
        item("computer_call", "action", {"type": "wait"}),
    ),
    (
        item("computer_call", "actions", [{"type": "type", "text": "canary"}]),
        item("computer_call", "action", {"type": "wait"}),
    ),
    (
        item("tool_search_call", "arguments", {"queries": ["canary"]}, execution="client"),
        item("tool_search_call", "arguments", {}, execution="client"),
    ),
]


@pytest.mark.parametrize(("one", "other"), RESTATED)
def test_every_restatement_of_a_call_must_agree(one, other):
    begun = {"type": "response.in_progress", "response": CREATED["response"] | {"output": [one]}}
    for events in (
        [added(one), done(other), completed(other)],
        [begun, done(other), completed(other)],
        [done(other), begun, completed(other)],
        [added(other), added(one), done(other), completed(other)],
        [done(other), added(one), completed(other)],
        [added(other), done(other), completed(one)],
        [added(one), completed(other)],
    ):
        assert refused_to_judge(*events), events


@pytest.mark.parametrize(
    ("begun", "ended"),
    [
        (shell(), shell("ls")),
        (shell("ls"), shell("ls", timeout_ms=5, user="me")),
        (item("local_shell_call", "action", None), shell("ls")),
        (
            item("shell_call", "action", {"commands": [""]}),
            item("shell_call", "action", {"commands": ["ls"]}),
        ),
        (patch(""), patch("+x")),
        (item("apply_patch_call", "operation", {}), patch("+x")),
        (
            item("computer_call", "actions", []),
            item("computer_call", "actions", [{"type": "wait"}]),
        ),
        (
            item("tool_search_call", "arguments", {}, execution="client"),
            item("tool_search_call", "arguments", {"queries": ["a"]}, execution="client"),
        ),
    ],
)
def test_an_item_in_progress_may_be_filled_in(begun, ended):
    progress = {"type": "response.in_progress", "response": CREATED["response"] | {"output": [begun]}}
    sent, relay = gated(sse(CREATED, added(begun), progress, done(ended), completed(ended)))
    assert (relay.failure, relay.unknown) == (None, {})
    assert TEXT.encode() in sent
    assert len(judged(added(begun), done(ended), completed(ended))) == 1


def test_a_call_that_the_provider_runs_may_be_told_anew():
    search = {"type": "web_search_call", "id": "ws_1", "status": "in_progress"}
    begun = search | {"action": {"type": "search", "query": "a"}}
    ended = search | {"action": {"type": "search", "query": "a b", "sources": []}}
    passed(sse(CREATED, added(begun), done(ended), completed(ended)))


@pytest.mark.parametrize(
    "events",
    [
        [done(CALL), piece(CANARY), completed(CALL)],
        [done(CALL), added(CALL), piece(CANARY), completed(CALL)],
        [added(CALL | {"arguments": ""}), piece(CANARY, -1, item_id="x"), done(CALL), completed(CALL)],
        [added(shell("ls")), piece(CANARY), done(shell("ls")), completed(shell("ls"))],
        [whole(CALL["arguments"], input=CANARY), done(CALL), completed(CALL)],
        [added(CALL | {"arguments": ""}), whole(CANARY, input=CALL["arguments"]), completed()],
    ],
)
def test_pieces_that_no_item_repeats_are_not_passed_over(events):
    assert refused_to_judge(*events)


def test_a_stream_without_a_terminal_event_settles_what_was_announced():
    reader = adapter()
    completion = Completion()
    relay = Relay(framer_for(SSE, 1 << 20, streamed=True), reader, completion, gate=True)
    assert b"canary" not in relay.feed(
        sse(CREATED, added(CALL | {"arguments": CANARY})) + b"data: [DONE]\n\n"
    )
    assert relay.held
    assert [call.arguments for call in completion.tool_calls] == [CANARY]


def part(kind: str, end: str, **members: object) -> dict:
    return {"type": f"response.{kind}.{end}", "output_index": 0, "item_id": "i_1", **members}


COMMAND = "shell_call_command"
DIFF = "apply_patch_call_operation_diff"
COMMANDS = item("shell_call", "action", {"commands": ["ls"]})


def test_a_patch_comes_in_pieces():
    events = [
        added(patch("")),
        part(DIFF, "delta", delta="+"),
        part(DIFF, "delta", delta="x"),
        part(DIFF, "done", diff="+x"),
        done(patch("+x")),
        completed(patch("+x")),
    ]
    sent, relay = gated(sse(CREATED, *events))
    assert (relay.failure, relay.unknown) == (None, {})
    assert b"+x" not in sent
    (call,) = judged(*events)
    assert (call.name, msgspec.json.decode(call.arguments)["diff"]) == ("apply_patch", "+x")


@pytest.mark.parametrize(
    "events",
    [
        [part(DIFF, "delta", delta="canary"), done(patch("+x")), completed(patch("+x"))],
        [done(patch("+x")), part(DIFF, "delta", delta="canary"), completed(patch("+x"))],
        [part(DIFF, "done", diff="canary", command="+x"), done(patch("+x")), completed(patch("+x"))],
        [part(DIFF, "done", diff="canary"), completed()],
        [done(COMMANDS), part(COMMAND, "delta", delta="canary"), completed(COMMANDS)],
        [part(COMMAND, "delta", delta="canary", command="ls"), done(COMMANDS), completed(COMMANDS)],
        [part(COMMAND, "done", diff="ls", command="canary"), done(COMMANDS), completed(COMMANDS)],
    ],
)
def test_parts_of_a_call_must_be_those_of_its_item(events):
    assert refused_to_judge(*events)


@pytest.mark.parametrize(
    "kind", ["container_x", "container", "containerless", "local", "Container_auto", 7, None]
)
def test_a_shell_in_an_unknown_place_is_the_clients(kind):
    call = item("shell_call", "action", {"commands": ["canary"]}, environment={"type": kind})
    sent, relay = gated(sse(CREATED, added(call), done(call), completed(call)))
    assert relay.failure is None
    assert b"canary" not in sent
    assert TEXT.encode() in sent


@pytest.mark.parametrize("kind", ["container_auto", "container_reference"])
def test_a_shell_in_a_container_is_the_providers(kind):
    call = item("shell_call", "action", {"commands": ["ls"]}, environment={"type": kind})
    passed(sse(CREATED, added(call), done(call), completed(call)))


@pytest.mark.parametrize("kind", ["function_call", "custom_tool_call"])
def test_a_call_is_judged_by_its_name_with_and_without_its_namespace(kind):
    call = CALL | {"type": kind, "name": "tool", "namespace": "canary", "input": "x"}
    expected = {"tool", "canary.tool", "canary__tool", "canarytool"}
    plain = {key: value for key, value in call.items() if key != "namespace"}
    for events in (
        [done(call)],
        [added(plain), done(call)],
        [added(call), done(plain)],
        [added(call | {"name": ""}), done(call)],
        [completed(call)],
    ):
        (found,) = judged(*events)
        assert (found.name, expected - set(found.names)) == ("tool", set()), events
        assert DIFFERS not in read(*events)
    assert DIFFERS in read(added(call), done(call | {"namespace": "other"}))
    (plain_call,) = judged(done(plain))
    assert plain_call.names == ("tool",)


@pytest.mark.parametrize(
    "odd",
    [
        CALL | {"Arguments": CANARY},
        CALL | {"Name": "canary"},
        CALL | {"Namespace": "canary"},
        CALL | {"Type": "custom_tool_call", "Input": "canary"},
        shell("ls") | {"name": "x", "Action": {"command": ["canary"]}},
        item(
            "computer_call",
            "action",
            {"type": "wait"},
            name="x",
            Actions=[{"type": "type", "text": "canary"}],
        ),
        patch("") | {"name": "x", "Operation": {"type": "delete_file", "path": "canary"}},
    ],
)
def test_a_member_of_a_call_in_another_letter_case_is_not_passed_over(odd):
    assert refused_to_judge(done(odd), completed(odd))
    body = encode({"id": RID, "object": "response", "model": "m", "status": "completed", "output": [odd]})
    sent, relay = gated(body, content_type=JSON)
    assert relay.failure is not None
    assert b"canary" not in sent


LOOKS_LIKE_A_CALL = {"name": "job", "input": "x.csv", "arguments": {}, "args": [], "Type": "x", "Name": "y"}
SCHEMA = {
    "type": "object",
    "properties": {
        "step": {"type": "object", "default": {"name": "noop", "args": []}},
        "Name": {},
        "name": {},
    },
    "examples": [{"name": "search", "arguments": {}}],
}
ECHOES = [
    {"metadata": LOOKS_LIKE_A_CALL},
    {"prompt": {"id": "p", "variables": LOOKS_LIKE_A_CALL}},
    {"instructions": [CALL, {"type": "custom_tool_call", "name": "x", "call_id": "c", "input": "y"}]},
    {"tools": [{"type": "function", "name": "f", "parameters": SCHEMA}]},
    {
        "tools": [
            {
                "type": "namespace",
                "name": "n",
                "tools": [{"type": "function", "name": "f", "parameters": SCHEMA}],
            }
        ]
    },
    {"tools": [{"type": "mcp", "server_label": "x", "headers": LOOKS_LIKE_A_CALL}]},
    {"tool_choice": {"type": "function", "name": "input", "Name": "input", "input": 1}},
    {"text": {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA}}},
]


@pytest.mark.parametrize("echo", ECHOES)
def test_what_repeats_the_request_is_no_call(echo):
    created = CREATED | {"response": CREATED["response"] | echo}
    passed(sse(created, completed(**echo)))
    body = {"id": RID, "object": "response", "model": "m", "status": "completed", "output": [], **echo}
    passed(encode(body), JSON)
    # Beside a call it does not keep the call from being judged.
    sent, relay = gated(sse(created, done(CALL), completed(CALL, **echo)))
    assert relay.failure is None
    assert CALL["arguments"].encode() not in sent.replace(encode(echo)[1:-1], b"")


@pytest.mark.parametrize(
    "found",
    [
        {
            "type": "mcp_list_tools",
            "id": "l",
            "server_label": "x",
            "tools": [{"name": "ask", "input_schema": SCHEMA}],
        },
        {
            "type": "file_search_call",
            "id": "fs",
            "status": "completed",
            "queries": ["q"],
            "results": [{"file_id": "f", "text": "t", "attributes": LOOKS_LIKE_A_CALL}],
        },
        {
            "type": "tool_search_output",
            "id": "t",
            "tools": [{"type": "function", "name": "f", "parameters": SCHEMA}],
        },
    ],
)
def test_results_and_lists_of_tools_are_no_calls(found):
    passed(sse(CREATED, added(found), done(found), completed(found)))


def test_the_arguments_of_a_call_are_its_tools_business():
    search = item("tool_search_call", "arguments", LOOKS_LIKE_A_CALL, execution="client")
    for call in (search, shell("ls"), CALL | {"arguments": encode(LOOKS_LIKE_A_CALL).decode()}):
        sent, relay = gated(sse(CREATED, done(call), completed(call)))
        assert relay.failure is None
        assert TEXT.encode() in sent


async def test_the_refusal_has_an_id_of_its_own():
    own = "msg_" + RID.removeprefix("resp_")
    content = [{"type": "output_text", "text": "one", "annotations": []}]
    message = {"type": "message", "id": own, "status": "completed", "role": "assistant", "content": content}
    other = message | {"id": own + "_2"}
    body = sse(
        CREATED,
        added(message),
        done(message),
        added(other, 1),
        done(other, 1),
        done(CALL, 2),
        completed(message, other, CALL),
    )
    sent, relay = gated(body)
    assert relay.failure is None
    response, _ = await final(sent)
    assert [each.id for each in response.output] == [own, own + "_2", own + "_3"]
    assert response.output_text == "oneone" + TEXT
    # Only the last event, or a whole body, may hold the item.
    response, _ = await final(gated(sse(CREATED, done(CALL), completed(CALL, message)))[0])
    assert [each.id for each in response.output] == [own, own + "_2"]
    members = {"id": RID, "object": "response", "model": "m", "status": "completed"}
    sent, _ = gated(encode(members | {"output": [message, CALL]}), content_type=JSON)
    async with client(sent, JSON) as sdk:
        response = await sdk.responses.create(model="m", input="hi")
    assert [each.id for each in response.output] == [own, own + "_2"]


async def test_what_fails_closed_is_an_error_to_the_sdk():
    sent, _ = gated(sse(CREATED, added(shell("canary")), done(shell("ls")), completed(shell("ls"))))
    with pytest.raises(openai.APIError):
        await final(sent)


@pytest.mark.parametrize("named", [{}, {"server_label": "wiki"}])
def test_a_call_that_awaits_approval_has_its_server_s_names(named):
    item = {"type": "mcp_approval_request", "id": "mcpr_1", "name": "ask", "arguments": "{}", **named}
    whole = {"id": RID, "object": "response", "model": "m", "status": "completed", "output": [item]}
    sent, relay = gated(encode(whole), content_type="application/json")
    [call] = relay._completion.tool_calls
    assert set(call.names) == ({"ask", "mcp__wiki__ask", "wiki"} if named else {"ask"})
    assert b"mcp_approval_request" not in sent


def test_a_call_that_awaits_approval_of_two_servers_is_not_released():
    item = {"type": "mcp_approval_request", "id": "mcpr_1", "name": "ask", "arguments": "{}"}
    events = [
        {"type": "response.created", "response": {"id": RID, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "server_label": "wiki"}},
        {"type": "response.output_item.done", "output_index": 0, "item": {**item, "server_label": "mail"}},
    ]
    assert DIFFERS in read(*events)
