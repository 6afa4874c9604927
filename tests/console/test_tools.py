"""Tools as the API lists them, and policies for many of them at once."""

import pytest

from gateway.core.discovery import sighting
from gateway.core.entities import ToolInvocationPolicy, TrustedDataPolicy
from gateway.core.view import Tool
from gateway.storage.queries.entities import load_all
from gateway.storage.queries.tools import remember
from tests.console.conftest import ADMIN, stored

TOML = """
[default_policies]
call = "block_when_context_is_untrusted"

[[teams]]
slug = "care"

[[agents]]
slug = "support"
team = "care"

[[agents]]
slug = "sales"

[[tool_invocation_policies]]
id = "no-rm"
tool = "rm"
action = "block_always"

[[tool_invocation_policies]]
id = "web-care"
tool = "web__*"
action = "allow_when_context_is_untrusted"
teams = ["care"]

[[tool_invocation_policies]]
id = "etc"
tool = "read"
action = "block_always"
conditions = [{ key = "path", operator = "contains", value = "/etc/" }]
mode = "shadow"

[[trusted_data_policies]]
id = "web-results"
tool = "web__*"
action = "sanitize_with_dual_llm"
"""
BLOCK = {"action": "block_always"}
POLICIES = "/api/tools/policies"


def seen(name, agent="support", at=1000.0, **fields):
    fields = {"description": "Does it.", "server_executed": False} | fields
    return sighting(Tool(name, **fields), agent=agent, client="sdk/1", at=at, contents=True)


@pytest.fixture
async def console(tmp_path):
    async with stored(tmp_path, toml=TOML) as running:
        yield running


async def remembered(running, *sightings):
    async with running.database.write() as connection:
        await remember(connection, sightings)


async def listed(running, query="", token=ADMIN):
    status, body, _ = await running.ask("GET", f"/api/tools{query}", token)
    assert status == 200, body
    return body["items"]


async def set_(running, expected=200, **body):
    status, answer, _ = await running.ask("POST", POLICIES, ADMIN, json=body)
    assert status == expected, answer
    return answer["items"] if expected == 200 else answer["error"]


async def policies(running, kind="tool_invocation_policies", type_=ToolInvocationPolicy):
    async with running.database.read() as connection:
        _, found = await load_all(connection, {kind: type_})
    return found[kind]


async def test_a_tool_with_its_policies(console):
    await remembered(console, seen("web__search"), seen("web__search", "sales"), seen("read"))
    read, *web = await listed(console)
    assert (read["agent"], read["name"], read["kind"], read["versions"]) == ("support", "read", "function", 1)
    assert read["policies"] == {
        "call": [
            {
                "id": "etc",
                "tool": "read",
                "action": "block_always",
                "mode": "shadow",
                "conditioned": True,
                "declared": True,
            }
        ],
        "result": [],
    }
    assert read["default"] == {
        "call": {"action": "block_when_context_is_untrusted", "policy": "default"},
        "result": {"action": "mark_as_untrusted", "policy": "default"},
    }
    # By the agent's team: it is the same tool for both, and not the same policy.
    defaults = {each["agent"]: each["default"] for each in web}
    assert defaults["support"]["call"] == {"action": "allow_when_context_is_untrusted", "policy": "web-care"}
    assert defaults["sales"]["call"]["policy"] == "default"
    assert {each["default"]["result"]["policy"] for each in web} == {"web-results"}


@pytest.mark.parametrize(
    ("actions", "effective"),
    [
        (["allow_when_context_is_untrusted", "block_always"], "block_always"),
        (
            ["allow_when_context_is_untrusted", "block_when_context_is_untrusted"],
            "block_when_context_is_untrusted",
        ),
        (["block_when_context_is_untrusted", "require_approval"], "require_approval"),
        (["allow_when_context_is_untrusted"], "allow_when_context_is_untrusted"),
    ],
)
async def test_of_several_defaults_the_strictest_holds(console, actions, effective):
    await remembered(console, seen("x"))
    for action in actions:
        await console.made(ADMIN, "/api/tool-invocation-policies", tool="x", action=action)
    [item] = await listed(console)
    assert item["default"]["call"]["action"] == effective


async def test_a_default_that_names_the_tool_goes_before_a_glob(console):
    await remembered(console, seen("mcp__files__rm"))
    await console.made(ADMIN, "/api/tool-invocation-policies", tool="*", action="require_approval")
    [item] = await listed(console)
    assert item["default"]["call"] == {"action": "block_always", "policy": "no-rm"}
    assert [each["tool"] for each in item["policies"]["call"]] == ["rm", "*"]


async def test_filters_and_pages(console):
    await remembered(
        console, seen("b"), seen("a"), seen("a", "sales"), seen("web_search", server_executed=True)
    )
    assert [item["name"] for item in await listed(console)] == ["a", "a", "b", "web_search"]
    assert [item["agent"] for item in await listed(console, "?agent=sales")] == ["sales"]
    assert [item["name"] for item in await listed(console, "?kind=built_in")] == ["web_search"]
    assert [item["name"] for item in await listed(console, "?q=WEB")] == ["web_search"]
    assert [item["agent"] for item in await listed(console, "?name=b")] == ["support"]
    _, first, _ = await console.ask("GET", "/api/tools?limit=3", ADMIN)
    _, second, _ = await console.ask("GET", f"/api/tools?limit=3&after={first['next']}", ADMIN)
    assert (len(first["items"]), len(second["items"]), second["next"]) == (3, 1, None)
    for query in ("?after=none", "?kind=other", "?q=", "?limit=0", "?colour=red"):
        assert (await console.ask("GET", f"/api/tools{query}", ADMIN))[0] == 400, query


async def test_one_tool_and_its_history(console):
    await remembered(console, seen("a", description="Old."), seen("a", description="New.", at=2000.0))
    [item] = await listed(console)
    status, found, _ = await console.ask("GET", f"/api/tools/{item['id']}", ADMIN)
    assert status == 200
    assert [each["description"] for each in found.pop("history")] == ["New.", "Old."]
    assert found == item
    assert (found["description"], found["versions"]) == ("New.", 2)
    assert (await console.ask("GET", "/api/tools/none", ADMIN))[0] == 404


async def test_a_key_sees_its_own_agents_tools_and_no_policies(console):
    await remembered(console, seen("a"), seen("b", "sales"))
    key = (await console.made(ADMIN, "/api/virtual-keys", name="k", agent="support"))["secret"]
    [own] = await listed(console, token=key)
    assert (own["name"], own["policies"], own["default"]) == ("a", None, None)
    assert await listed(console, "?agent=support", key) == [own]
    assert (await console.ask("GET", "/api/tools?agent=sales", key))[0] == 403
    [others] = await listed(console, "?agent=sales")
    assert (await console.ask("GET", f"/api/tools/{others['id']}", key))[0] == 404
    _, found, _ = await console.ask("GET", f"/api/tools/{own['id']}", key)
    assert (found["name"], found["policies"], found["default"]) == ("a", None, None)
    assert (await console.ask("POST", POLICIES, key, json={"tools": ["a"], "call": BLOCK}))[0] == 403


async def test_policies_of_many_at_once(console):
    await remembered(console, seen("a"), seen("b"))
    by_name = {item["name"]: item["id"] for item in await listed(console)}
    made = await set_(
        console,
        tools=[by_name["a"], "b", "not_seen_yet"],
        call=BLOCK | {"reason": "No."},
        result={"action": "mark_as_trusted"},
    )
    assert [(each["tool"], each["kind"], each["outcome"]) for each in made] == [
        (name, kind, "created") for kind in ("call", "result") for name in ("a", "b", "not_seen_yet")
    ]
    found = await policies(console)
    assert {(each.tool, each.action, each.reason, each.conditions) for each in found} == {
        (name, "block_always", "No.", ()) for name in ("a", "b", "not_seen_yet")
    }
    assert {each.id for each in found} < {each["policy"] for each in made}
    assert len(await policies(console, "trusted_data_policies", TrustedDataPolicy)) == 3
    # It holds at once, and the list says so.
    assert {item["default"]["call"]["action"] for item in await listed(console)} == {"block_always"}
    _, trail, _ = await console.ask("GET", "/api/audit", ADMIN)
    assert [(entry["kind"], entry["action"], entry["result"]) for entry in trail["items"]] == [
        *[("trusted_data_policies", "create", "ok")] * 3,
        *[("tool_invocation_policies", "create", "ok")] * 3,
    ]


async def test_a_default_is_replaced_and_what_has_conditions_stays(console):
    condition = [{"key": "path", "operator": "contains", "value": "/etc/"}]
    kept = await console.made(
        ADMIN, "/api/tool-invocation-policies", tool="a", action="block_always", conditions=condition
    )
    of_sales = await console.made(
        ADMIN, "/api/tool-invocation-policies", tool="a", action="block_always", agents=["sales"]
    )
    [made] = await set_(console, tools=["a"], call=BLOCK)
    [changed] = await set_(console, tools=["A"], call={"action": "require_approval", "mode": "shadow"})
    assert (made["outcome"], changed["outcome"], changed["policy"]) == ("created", "changed", made["policy"])
    [same] = await set_(console, tools=["a"], call={"action": "require_approval", "mode": "shadow"})
    assert same["outcome"] == "unchanged"
    found = {each.id: each for each in await policies(console)}
    assert set(found) == {kept["id"], of_sales["id"], made["policy"]}
    assert (found[made["policy"]].action, found[made["policy"]].mode) == ("require_approval", "shadow")
    assert found[kept["id"]].action == found[of_sales["id"]].action == "block_always"
    # One with conditions takes the place of the one with the same ones, and a scope belongs to it too.
    [with_conditions] = await set_(
        console, tools=["a"], call={"action": "require_approval", "conditions": condition}
    )
    assert (with_conditions["outcome"], with_conditions["policy"]) == ("changed", kept["id"])
    [scoped] = await set_(console, tools=["a"], call={"action": "require_approval"}, agents=["sales"])
    assert (scoped["outcome"], scoped["policy"]) == ("changed", of_sales["id"])


async def test_of_several_defaults_one_is_left(console):
    ids = [
        (await console.made(ADMIN, "/api/tool-invocation-policies", tool="a", action=action))["id"]
        for action in ("block_always", "require_approval")
    ]
    [changed] = await set_(console, tools=["a"], call={"action": "allow_when_context_is_untrusted"})
    assert (changed["policy"], changed["outcome"]) == (ids[0], "changed")
    [left] = await policies(console)
    assert (left.id, left.action) == (ids[0], "allow_when_context_is_untrusted")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"tools": ["a"], "result": None}, "call"),
        ({"tools": [], "call": BLOCK}, "tools"),
        ({"tools": ["a", "b*"], "call": BLOCK}, "tools[1]"),
        ({"tools": ["a", " b"], "call": BLOCK}, "tools"),
        ({"tools": ["a"], "call": {"action": "mark_as_trusted"}}, "call.action"),
        ({"tools": ["a"], "call": BLOCK, "agents": ["nobody"]}, "agents"),
        (
            {
                "tools": ["a"],
                "result": BLOCK | {"conditions": [{"key": "a", "operator": "regex", "value": "("}]},
            },
            "result.conditions[0].value",
        ),
        ({"tools": ["a"] * 201, "call": BLOCK}, "tools"),
    ],
)
async def test_what_can_not_be_changes_nothing(console, body, path):
    error = await set_(console, 400, **({"tools": ["ok"], "result": {"action": "mark_as_trusted"}} | body))
    assert error["path"] == path
    assert await policies(console) == []
    assert await policies(console, "trusted_data_policies", TrustedDataPolicy) == []


async def test_what_the_file_has_is_named_and_nothing_is_changed(console):
    error = await set_(console, 409, tools=["a", "RM", "read"], call=BLOCK)
    assert "RM (call)" in error["message"]
    assert "read" not in error["message"]
    assert await policies(console) == []
    # What the file says with conditions, or of results, is another policy.
    assert len(await set_(console, tools=["read"], call=BLOCK)) == 1
    assert len(await set_(console, tools=["rm"], result=BLOCK)) == 1


async def test_a_tool_that_is_called_like_a_pattern_is_taken_for_none(console):
    await remembered(console, seen("*"))
    [item] = await listed(console)
    error = await set_(console, 400, tools=[item["id"]], call={"action": "allow_when_context_is_untrusted"})
    assert error["path"] == "tools[0]"


async def test_a_tool_that_is_called_like_the_id_of_another_is_taken_for_neither(console):
    await remembered(console, seen("victim"))
    [victim] = await listed(console)
    await remembered(console, seen(victim["id"]))
    error = await set_(console, 400, tools=[victim["id"]], call=BLOCK)
    assert "id" in error["message"]
    [other] = await listed(console, f"?name={victim['id']}")
    [made] = await set_(console, tools=[other["id"]], call=BLOCK)
    assert made["tool"] == victim["id"]


async def test_the_same_tool_twice_is_one(console):
    await remembered(console, seen("a"), seen("a", "sales"))
    ids = [item["id"] for item in await listed(console)]
    assert len(await set_(console, tools=[*ids, "a", "A"], call=BLOCK)) == 1


async def test_tools_of_an_agent_that_is_gone_are_still_there(console):
    made = await console.made(ADMIN, "/api/agents", slug="gone")
    await remembered(console, seen("rm", "gone"))
    await console.ask("DELETE", f"/api/agents/{made['id']}", ADMIN)
    [item] = await listed(console)
    assert (item["agent"], item["default"]["call"]["policy"]) == ("gone", "no-rm")


async def test_as_many_as_are_allowed(console):
    names = [f"t{number}" for number in range(200)]
    assert len(await set_(console, tools=names, call=BLOCK, result=BLOCK)) == 400
    assert len(await set_(console, tools=names, call=BLOCK, result=BLOCK)) == 400
    assert len(await policies(console)) == 200
