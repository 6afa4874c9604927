"""What the API says that policies decide, and why."""

import pytest

from tests.console.conftest import ADMIN, stored

TOML = """
[[teams]]
slug = "care"

[[agents]]
slug = "support"
team = "care"
context_untrusted = true

[[users]]
slug = "ann"
team = "care"

[[tool_invocation_policies]]
id = "etc"
tool = "read_*"
action = "block_always"
conditions = [
    { key = "path", operator = "startsWith", value = "/etc/" },
    { key = "context.model", operator = "equal", value = "m" },
]
reason = "System files."

[[tool_invocation_policies]]
id = "read"
tool = "read_file"
action = "block_when_context_is_untrusted"

[[tool_invocation_policies]]
id = "all"
tool = "*"
action = "allow_when_context_is_untrusted"

[[tool_invocation_policies]]
id = "trial"
tool = "read_file"
action = "block_always"
mode = "shadow"

[[tool_invocation_policies]]
id = "care"
tool = "mail"
action = "block_always"
teams = ["care"]

[[trusted_data_policies]]
id = "inner"
tool = "web"
action = "block_always"
conditions = [{ key = "[*].from", operator = "contains", value = "evil" }]

[[trusted_data_policies]]
id = "web"
tool = "web"
action = "sanitize_with_dual_llm"
"""


@pytest.fixture
async def console(tmp_path):
    async with stored(tmp_path, toml=TOML) as running:
        yield running


async def asked(running, expected=200, token=ADMIN, **question):
    status, body, _ = await running.ask("POST", "/api/policies/evaluate", token, json=question)
    assert status == expected, body
    return body if expected == 200 else body["error"]


def why(answer):
    return {each["policy"]: each["why"] for each in answer["considered"]}


async def test_which_decides_and_why_the_others_do_not(console):
    context = {"model": "m"}
    answer = await asked(console, tool="read_file", arguments={"path": "/etc/passwd"}, context=context)
    assert answer["decision"] | {"arguments_hash": ""} == {
        "kind": "call",
        "policy": "etc",
        "tool": "read_file",
        "action": "block_always",
        "mode": "enforce",
        "blocked": True,
        "reason": "System files.",
        "call_id": "",
        "arguments_hash": "",
    }
    assert [each["policy"] for each in answer["considered"]] == ["etc", "read", "all", "trial"]
    etc, read, every, trial = answer["considered"]
    assert etc["conditions"] == [
        {"key": "path", "operator": "startsWith", "value": "/etc/", "held": True, "found": ["/etc/passwd"]},
        {"key": "context.model", "operator": "equal", "value": "m", "held": True, "found": ["m"]},
    ]
    assert (etc["matched"], etc["decided"]) == (True, True)
    assert [(each["matched"], each["decided"]) for each in (read, every, trial)] == [(True, False)] * 3
    assert etc["why"] == "Its conditions hold: it refuses."
    assert "does not count" in read["why"]
    assert "shadow" in trial["why"]
    assert answer["default"] == {"action": "block_when_context_is_untrusted", "policy": "read"}
    assert [(each["policy"], each["mode"], each["blocked"]) for each in answer["decisions"]] == [
        ("etc", "enforce", True),
        ("trial", "shadow", True),
    ]


async def test_the_default_in_a_trusted_and_an_untrusted_context(console):
    question = {"tool": "read_file", "arguments": '{"path": "/home"}'}
    trusted = await asked(console, **question)
    assert (trusted["decision"]["policy"], trusted["decision"]["blocked"], trusted["untrusted"]) == (
        "read",
        False,
        False,
    )
    assert why(trusted)["etc"] == "It does not match: what it asks of path, context.model does not hold."
    assert why(trusted)["read"] == "It is the tool's default: it refuses only in an untrusted context."
    untrusted = await asked(console, context={"untrusted": True}, **question)
    assert (untrusted["decision"]["policy"], untrusted["decision"]["blocked"]) == ("read", True)
    of_agent = await asked(console, context={"agent": "support"}, **question)
    assert (of_agent["decision"]["blocked"], of_agent["untrusted"]) == (True, True)
    told = await asked(console, context={"agent": "support", "untrusted": False}, **question)
    assert not told["decision"]["blocked"]


async def test_what_no_policy_is_for(console):
    answer = await asked(console, tool="mail", policies=[], instead=True)
    assert (answer["decision"]["policy"], answer["considered"]) == ("default", [])
    assert answer["default"] == {"action": "allow_when_context_is_untrusted", "policy": "default"}


@pytest.mark.parametrize(
    ("context", "policy"),
    [
        ({}, "all"),
        ({"agent": "support"}, "care"),
        ({"user": "ann"}, "care"),
        ({"team_ids": ["care"]}, "care"),
        ({"agent": "support", "team_ids": []}, "all"),
    ],
)
async def test_whose_policies_count(console, context, policy):
    answer = await asked(console, tool="mail", context=context)
    assert answer["decision"]["policy"] == policy


async def test_teams_that_are_made_up_are_not_remembered(console):
    for number in range(3):
        await asked(console, tool="mail", context={"team_ids": [f"t{number}"]})
    assert len(console.snapshots.current.policies._guards) <= 1


@pytest.mark.parametrize("arguments", ['{"path": 1', '{"path": 1, "path": 2}', "[1]"])
async def test_arguments_that_nobody_can_judge(console, arguments):
    answer = await asked(console, tool="read_file", arguments=arguments)
    assert (answer["decision"]["policy"], answer["decision"]["blocked"]) == ("etc", True)
    assert "can't be judged" in why(answer)["etc"]
    assert [each["policy"] for each in answer["considered"] if each["decided"]] == ["etc"]


async def test_a_result(console):
    evil = [{"from": "evil.example"}, {"from": "evil.org"}]
    answer = await asked(console, tool="web", result=evil)
    assert (answer["decision"]["policy"], answer["decision"]["blocked"]) == ("inner", True)
    inner, web = answer["considered"]
    assert inner["conditions"][0]["found"] == ["evil.example", "evil.org"]
    assert inner["why"] == "Its conditions hold: it withholds it."
    assert "does not count" in web["why"]
    answer = await asked(console, tool="web", result="Hello", is_error=True)
    assert (answer["decision"]["policy"], answer["decision"]["action"]) == ("web", "sanitize_with_dual_llm")
    assert why(answer)["web"] == "It is the tool's default: it says sanitize_with_dual_llm."
    assert answer["default"] == {"action": "sanitize_with_dual_llm", "policy": "web"}
    answer = await asked(console, tool="web", result='{"a": 1, "a": 2}')
    assert (answer["decision"]["policy"], answer["decision"]["blocked"]) == ("inner", True)
    answer = await asked(console, tool="nothing", result=None)
    assert (answer["decision"]["policy"], answer["decision"]["action"]) == ("default", "mark_as_untrusted")


async def test_a_draft_beside_the_stored_ones(console):
    draft = {"tool": "mail", "action": "require_approval"}
    answer = await asked(console, tool="mail", policies=[draft])
    assert (answer["decision"]["policy"], answer["decision"]["blocked"]) == ("draft-0", True)
    assert {each["policy"] for each in answer["considered"]} == {"all", "draft-0"}
    # In the place of a stored one; of all; and nothing of it stays.
    answer = await asked(
        console, tool="mail", policies=[{"tool": "*", "action": "block_always", "id": "all"}]
    )
    assert [(each["policy"], each["action"]) for each in answer["considered"]] == [("all", "block_always")]
    answer = await asked(console, tool="read_file", policies=[draft], instead=True)
    assert answer["decision"]["policy"] == "default"
    assert (await asked(console, tool="mail"))["decision"]["policy"] == "all"
    of_result = {"tool": "web", "action": "mark_as_trusted", "id": "web"}
    answer = await asked(console, tool="web", result="x", policies=[of_result])
    assert answer["decision"]["action"] == "mark_as_trusted"


@pytest.mark.parametrize(
    ("question", "path"),
    [
        ({"tool": "a", "arguments": {}, "result": 1}, "result"),
        ({"tool": "a", "arguments": 5}, "arguments"),
        ({"arguments": {}}, "tool"),
        ({"tool": "a", "context": {"agent": "nobody"}}, "context.agent"),
        ({"tool": "a", "context": {"colour": "red"}}, "context.colour"),
        ({"tool": "a", "policies": [{"tool": "a", "action": "mark_as_trusted"}]}, "policies[0].action"),
        (
            {"tool": "a", "result": 1, "policies": [{"tool": "a", "action": "require_approval"}]},
            "policies[0].action",
        ),
        ({"tool": "a", "policies": [{"tool": "", "action": "block_always"}]}, "policies[0].tool"),
        ({"tool": "a", "policies": [{"tool": "a", "action": "block_always", "id": "x"}] * 2}, "policies"),
        (
            {
                "tool": "a",
                "policies": [
                    {
                        "tool": "a",
                        "action": "block_always",
                        "conditions": [{"key": "a..b", "operator": "equal", "value": 1}],
                    }
                ],
            },
            "policies[0].conditions[0].key",
        ),
    ],
)
async def test_what_can_not_be_asked(console, question, path):
    assert (await asked(console, 400, **question))["path"] == path


async def test_who_may_ask(console):
    token = (await console.made(ADMIN, "/api/console-tokens", name="r", role="read"))["secret"]
    assert (await asked(console, token=token, tool="mail"))["decision"]
    key = (await console.made(ADMIN, "/api/virtual-keys", name="k", agent="support"))["secret"]
    await asked(console, 403, key, tool="mail")
    # Nothing is changed by asking, so the audit log has nothing of it, nor of what failed.
    await asked(console, 400, token, tool="a", arguments={}, result=1)
    _, trail, _ = await console.ask("GET", "/api/audit", ADMIN)
    assert {entry["kind"] for entry in trail["items"]} == {"console_tokens", "virtual_keys"}
