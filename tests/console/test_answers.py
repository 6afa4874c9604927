"""What the API answers is what its description says, field by field: neither has one that the other does not know."""

import orjson
import pytest
from jsonschema import Draft202012Validator, ValidationError

from gateway.core.record import Saved
from gateway.storage.queries.tools import remember
from gateway.storage.tables import TOKENS
from tests.console.conftest import ADMIN
from tests.console.test_entities import CHANGES, NEW, PATHS
from tests.console.test_interactions import REQUEST, RESPONSE, record
from tests.console.test_tools import seen

SAID = {
    "source": "api",
    "user": "ann",
    "team": "care",
    "virtual_key": "k1",
    "external_agent": "x",
    "session_source": "header",
    "run": "r",
    "client": "openai-python/1",
    "streamed": True,
    "requested_model": "m",
    "model": "m-1",
    "response_model": "m-1-2026",
    "error_kind": "server_error",
    "error": "It broke.",
    "finish_reason": "stop",
    "usage_source": "reported",
    "price": {"source": "list", "input": "3"},
    "first_byte_ms": 1.5,
    "first_token_ms": 2.5,
    "overhead_ms": 0.5,
    "context_trusted": True,
    "blocked_tools": ("rm",),
    "decisions": [{"kind": "call", "action": "block_always"}],
    "notes": {"unknown": {"x": 1}},
    "attempts": 2,
    "request_bytes": 10,
    "response_bytes": 20,
    "tools": ("look",),
    "cost": 5,
    "baseline_cost": 6,
    "saved": Saved(toon=1, cache=2),
    **dict.fromkeys(TOKENS, 3),
}


def closed(schema):
    """The same schema, in which an object has no other members than those that are named."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(value) for name, value in schema.items()}
    if isinstance(found.get("properties"), dict):
        found.setdefault("additionalProperties", False)
    return found


@pytest.fixture
async def described(running):
    """A console whose answers are held to its own document."""
    document = closed((await running.ask("GET", "/openapi.json", ADMIN))[1])
    seen = set()

    def check(schema, value):
        Draft202012Validator({**schema, "components": document["components"]}).validate(value)

    async def ask(method, path, template="", expected=200, **options):
        status, body, _ = await running.ask(method, path, ADMIN, **options)
        assert status == expected, body
        template = template or path.partition("?")[0]
        responses = document["paths"][template][method.lower()]["responses"]
        said = responses[str(status) if str(status) in responses else f"{status // 100}XX"]
        check(said["content"]["application/json"]["schema"], body)
        seen.add((method, template))
        return body

    running.described, running.check, running.document, running.seen = ask, check, document, seen
    return running


def read_routes(document, *begin):
    return {
        ("GET", path)
        for path, item in document["paths"].items()
        if path.startswith(begin)
        for method, operation in item.items()
        if method == "get" and "application/json" in operation["responses"]["200"].get("content", {})
    }


async def test_the_log(described):
    ask = described.described
    full = record(0, session="a", request=REQUEST, response=RESPONSE, **SAID)
    bare = record(1, agent=None, status=None, duration_ms=None)
    await described.rows(full, bare)
    rows = (await ask("GET", "/api/interactions"))["items"]
    assert [row["id"] for row in rows] == [bare.id, full.id]
    assert [row["blocked"] for row in rows] == [False, True]
    assert [(row["error"], row["attempts"], row["tools"]) for row in rows] == [
        (None, 0, []),
        ("It broke.", 2, ["look"]),
    ]
    for row in (full, bare):
        await ask("GET", f"/api/interactions/{row.id}", "/api/interactions/{id}")
    _, lines, _ = await described.ask("GET", "/api/interactions/export", ADMIN)
    assert [orjson.loads(line) for line in lines.splitlines()] == rows
    await ask("GET", "/api/sessions")
    await ask("GET", "/api/sessions/a", "/api/sessions/{id}")
    for by in ("time", "agent", "team", "user", "model", "provider"):
        sums = (await ask("GET", f"/api/statistics?by={by}"))["items"]
        assert all(by in each for each in sums)
    await ask("GET", "/api/interactions?limit=0", expected=400)
    await ask("GET", "/api/interactions/none", "/api/interactions/{id}", expected=404)
    await ask("GET", "/api/session")
    log = read_routes(described.document, "/api/interactions", "/api/sessions", "/api/statistics")
    assert log <= described.seen


async def test_what_is_set_up(described):
    ask = described.described
    for kind, new in NEW.items():
        path = PATHS[kind]
        made = await ask("POST", path, expected=201, json=new)
        one = (f"{path}/{made['id']}", f"{path}/{{id}}")
        await ask("GET", path)
        await ask("GET", *one)
        await ask("PATCH", *one, json=CHANGES[kind])
        await ask("PATCH", *one, expected=400, json={"colour": "red"})
    await ask("GET", "/api/agents/declared", "/api/agents/{id}")
    await ask(
        "POST", "/api/providers", expected=201, json={"provider": "openai", "api_key": "sk-0123456789abcdef"}
    )
    await ask(
        "PATCH", "/api/providers/openai", "/api/providers/{id}", json={"api_key": "sk-abcdef0123456789"}
    )
    await ask("GET", "/api/providers")
    await ask("GET", "/api/providers/openai", "/api/providers/{id}")
    entries = (await ask("GET", "/api/audit?limit=100"))["items"]
    assert {entry["action"] for entry in entries} == {"create", "update"}
    assert {entry["result"] for entry in entries} > {"ok"}
    assert read_routes(described.document, "/api/") - described.seen == read_routes(
        described.document, "/api/interactions", "/api/session", "/api/statistics", "/api/tools"
    )


async def test_tools_and_what_policies_say_of_them(described):
    ask = described.described
    async with described.database.write() as connection:
        await remember(connection, [seen("read"), seen("read", description="Reads.", at=2000.0), seen("rm")])
    condition = {"key": "path", "operator": "contains", "value": "/etc/"}
    setting = {"action": "block_always", "conditions": [condition]}
    await ask("POST", "/api/tools/policies", json={"tools": ["read"], "call": setting})
    await ask("POST", "/api/tools/policies", expected=400, json={"tools": ["read"]})
    [read, _] = (await ask("GET", "/api/tools"))["items"]
    assert read["policies"]["call"][0]["conditioned"]
    await ask("GET", f"/api/tools/{read['id']}", "/api/tools/{id}")
    key = (await described.made(ADMIN, "/api/virtual-keys", name="k", agent="support"))["secret"]
    _, own, _ = await described.ask("GET", "/api/tools", key)
    described.check({"$ref": "#/components/schemas/ListedTools"}, own)
    call = {"tool": "read", "arguments": {"path": "/etc/passwd"}}
    assert (await ask("POST", "/api/policies/evaluate", json=call))["decision"]["blocked"]
    await ask("POST", "/api/policies/evaluate", json={"tool": "read", "result": [1]})
    await ask("POST", "/api/policies/evaluate", expected=400, json=call | {"result": 1})
    assert read_routes(described.document, "/api/tools", "/api/policies") <= described.seen


async def test_a_field_that_nobody_described_is_seen(described):
    row = {"$ref": "#/components/schemas/Interaction"}
    await described.rows(record(**SAID))
    [shown] = (await described.described("GET", "/api/interactions"))["items"]
    described.check(row, shown)
    with pytest.raises(ValidationError, match="colour"):
        described.check(row, shown | {"colour": "red"})
    with pytest.raises(ValidationError, match="'attempts' is a required"):
        described.check(row, {name: value for name, value in shown.items() if name != "attempts"})
