"""The interaction log through the API: lists, one interaction, bodies, export, sessions, statistics."""

import asyncio
from urllib.parse import quote

import orjson
import pytest
from yarl import URL

from gateway.core.interaction import new_id
from gateway.core.record import Body, Record
from gateway.storage.queries import search
from tests.console.conftest import ADMIN

START = 1_760_000_000.0
CHAT = "POST /chat/completions"
REQUEST = Body(
    b'{"model":"m","tools":[{"type":"function","function":{"name":"look","description":"Looks.",'
    b'"parameters":{"type":"object"}}}],"messages":[',
    (b'{"role":"system","content":"Be brief."}', b',{"role":"user","content":"What is new?"}'),
    b"]}",
)
RESPONSE = Body(
    b'{"id":"c1","object":"chat.completion","model":"m","choices":[{"index":0,"finish_reason":"tool_calls",'
    b'"message":{"role":"assistant","content":"Let me see.","tool_calls":[{"id":"t1","type":"function",'
    b'"function":{"name":"look","arguments":"{\\"at\\":1}"}}]}}]}'
)
STREAM = Body(
    b'data: {"id":"c1","choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"}}]}\n\n'
    b'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n"
)


def record(number: int = 0, **changes) -> Record:
    at = START + number * 60
    values = {
        "id": new_id(at),
        "started_at": at,
        "provider": "openai",
        "endpoint": CHAT,
        "agent": "support",
        "outcome": "ok",
        "status": 200,
        "duration_ms": 100.0,
        **changes,
    }
    return Record(**values)


async def get(running, path, token=ADMIN, **query):
    status, body, _ = await running.ask("GET", path, token, params=query)
    return status, body


async def ids(running, token=ADMIN, path="/api/interactions", **query):
    status, body = await get(running, path, token, **query)
    assert status == 200, body
    return [item["id"] for item in body["items"]]


async def test_lists_newest_first_page_by_page(running):
    rows = [record(number) for number in range(7)]
    await running.rows(*rows)
    newest = [row.id for row in reversed(rows)]
    assert await ids(running) == newest
    seen, after = [], None
    while True:
        _, page = await get(running, "/api/interactions", limit=3, **({"after": after} if after else {}))
        seen += [item["id"] for item in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert seen == newest


async def test_every_filter_filters(running):
    told = {
        "agent": "sales",
        "user": "ann",
        "team": "care",
        "session": "s 1/2",
        "provider": "gemini",
        "model": "m-2",
        "status": 429,
        "error_kind": "rate_limit",
        "outcome": "rate_limited",
        "source": "chat",
    }
    rows = {name: record(n, **{name: value}) for n, (name, value) in enumerate(told.items())}
    rows["tool"] = record(20, tools=("look",))
    rows["blocked"] = record(21, blocked_tools=("rm",))
    rows["q"] = record(22, text="an unusual wörd_%")
    await running.rows(*rows.values())
    async with running.database.write() as connection:
        await search.index_pending(connection, 100, str)
    for name, value in {**told, "tool": "look", "blocked": "true", "q": "usual wörd_%"}.items():
        assert await ids(running, **{name: value}) == [rows[name].id], name
    assert await ids(running, q="usual x") == []
    assert await ids(running, agent="sales", user="ann") == []
    first = "2025-10-09T08:54:20Z"  # a minute after the start
    assert len(await ids(running, **{"from": first})) == len(rows) - 1
    assert await ids(running, to=first) == [rows["agent"].id]


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"q": ""}, "q"),
        ({"q": "x" * 257}, "q"),
        ({"q": " \u3000"}, None),
        ({"q": "a " * 3 + " ".join(map(str, range(40)))}, None),
        ({"status": "x"}, "status"),
        ({"status": "1000"}, "status"),
        ({"limit": "501"}, "limit"),
        ({"from": "now"}, "from"),
        ({"blocked": "perhaps"}, "blocked"),
        ({"agent": "a\0b"}, "agent"),
        ({"colour": "red"}, "colour"),
        ({"q": "abc", "after": "'; DROP TABLE interactions; --"}, "after"),
        ({"after": "zzz"}, "after"),
        ({"outcome": "bogus"}, "outcome"),
        ({"outcome": "null"}, "outcome"),
        ({"error_kind": "bogus"}, "error_kind"),
        ({"source": "bogus"}, "source"),
    ],
)
async def test_a_filter_that_can_not_be(running, query, path):
    for of in ("interactions", "sessions", "interactions/export"):
        if of == "interactions/export" and not {"after", "limit"}.isdisjoint(query):
            continue  # it has no pages
        if of == "sessions" and "q" in query:
            continue
        status, body = await get(running, f"/api/{of}", **query)
        assert (status, body["error"].get("path")) == (400, path), of


async def test_a_filter_of_a_closed_set_says_what_there_is(running):
    for name, values in (
        ("outcome", "ok, client_error, client_cancelled,"),
        ("error_kind", "rate_limit, authentication,"),
        ("source", "api, chat, dual_llm."),
    ):
        _, body = await get(running, "/api/interactions", **{name: "bogus"})
        assert f"`{name}` is one of {values}" in body["error"]["message"]


SESSIONS = [
    "user/42",
    "a\\b",
    "a;b",
    "a%2fb",
    "%252F",
    "a#b",
    "a?b",
    "..",
    ".",
    "...",
    "/",
    "//",
    "../x",
    "a\nb",
    " ",
    "\u202e",
    "\uff0e\uff0e",
]


async def test_every_session_that_is_listed_can_be_opened(running):
    await running.rows(*(record(n, session=name) for n, name in enumerate(SESSIONS)))
    listed = await ids(running, path="/api/sessions")
    assert sorted(listed) == sorted(SESSIONS)
    for name in listed:
        # As one encodes it, and with everything encoded.
        for path in (quote(name, safe=""), "".join(f"%{byte:02x}" for byte in name.encode())):
            status, head, body = await raw_get(running, f"/api/sessions/{path}")
            assert (status, orjson.loads(body).get("id")) == (200, name), (path, head)
        # The way for clients that take dots out of a path.
        assert await ids(running, path="/api/sessions", session=name) == [name]


async def raw_get(running, path):
    """Ask for a path exactly as it is written."""
    url = URL(running.url)
    raw = f"GET {path} HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nAuthorization: Bearer {ADMIN}\r\nConnection: close\r\n\r\n"
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(raw.encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), head, body


async def test_one_interaction_and_what_was_said(running):
    row = record(request=REQUEST, response=RESPONSE, requested_model="m", cost=1_230_000)
    await running.rows(row)
    status, shown = await get(running, f"/api/interactions/{row.id}")
    assert status == 200
    assert (shown["id"], shown["cost"], shown["input_tokens"]) == (row.id, "0.00123", None)
    assert [(m["role"], m["parts"][0]["text"]) for m in shown["messages"]] == [
        ("system", "Be brief."),
        ("user", "What is new?"),
    ]
    text, call = shown["answer"]["parts"]
    assert (text["type"], text["text"]) == ("text", "Let me see.")
    assert (call["type"], call["name"], call["arguments"]) == ("tool_call", "look", '{"at":1}')
    assert shown["answer"]["finish_reason"] == "tool_calls"
    assert shown["tools"] == [{"name": "look", "description": "Looks.", "parameters": {"type": "object"}}]


async def test_a_stream_is_read_as_an_answer(running):
    row = record(request=REQUEST, response=STREAM, streamed=True)
    await running.rows(row)
    _, shown = await get(running, f"/api/interactions/{row.id}")
    assert [part["text"] for part in shown["answer"]["parts"]] == ["Hello"]
    assert shown["answer"]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("changes", "messages", "parts"),
    [
        ({}, 0, 0),
        ({"request": Body(b""), "response": Body(b"")}, 0, 0),
        ({"request": Body(b"\xff\x00{"), "response": Body(b"\xff\x00{")}, 0, 0),
        ({"request": Body(REQUEST.prefix, (b'{"role":"user","content":"cut [9 bytes more]',), b"]}")}, 1, 0),
        ({"request": Body(b'{"messages":7}'), "response": Body(b"[]")}, 0, 0),
        ({"request": REQUEST, "response": Body(STREAM.prefix[:120])}, 2, 1),
        ({"request": REQUEST, "response": Body(b'data: {"choices":7}\n\n' + STREAM.prefix)}, 2, 1),
        ({"request": REQUEST, "response": Body(b"it is too hot"), "status": 503}, 2, 1),
        ({"request": REQUEST, "provider": "gone"}, 0, 0),
        ({"request": REQUEST, "endpoint": "POST /gone"}, 0, 0),
        ({"request": REQUEST, "endpoint": "POST /files"}, 0, 0),
        ({"request": REQUEST, "endpoint": "POST /responses"}, None, 0),
    ],
)
async def test_odd_bodies_give_what_can_be_read(running, changes, messages, parts):
    row = record(**changes)
    await running.rows(row)
    status, shown = await get(running, f"/api/interactions/{row.id}")
    assert status == 200
    assert messages is None or len(shown["messages"]) == messages
    assert len(shown["answer"]["parts"]) == parts


async def test_bodies_are_bytes_to_keep(running):
    evil = Body(b"<script>alert(1)</script>")
    row = record(request=REQUEST, forwarded=evil, response=RESPONSE)
    await running.rows(row, record(1))
    for which, body in (("request", REQUEST), ("forwarded", evil), ("response", RESPONSE)):
        status, got, response = await running.ask("GET", f"/api/interactions/{row.id}/{which}", ADMIN)
        assert (status, got) == (200, bytes(body))
        assert response.content_type == "application/octet-stream"
        assert response.headers["Content-Disposition"].startswith("attachment")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    for path in (f"{record().id}/request", "x/request", f"{row.id}/prices"):
        assert (await running.ask("GET", f"/api/interactions/{path}", ADMIN))[0] == 404


async def test_export_is_everything_as_lines(running):
    rows = [record(n, agent=("support", "sales")[n % 2]) for n in range(1100)]
    for start in range(0, len(rows), 500):
        await running.rows(*rows[start : start + 500])
    status, body, response = await running.ask("GET", "/api/interactions/export?agent=sales", ADMIN)
    assert status == 200
    assert response.content_type == "application/x-ndjson"
    lines = [orjson.loads(line) for line in body.splitlines()]
    assert [line["id"] for line in lines] == [row.id for row in reversed(rows) if row.agent == "sales"]
    assert (await running.ask("GET", "/api/interactions/export?q=%20", ADMIN))[0] == 400
    assert (await running.ask("GET", "/api/interactions/export?limit=5", ADMIN))[0] == 400


async def test_sessions_and_statistics(running):
    await running.rows(
        record(0, session="a", input_tokens=10, cost=10**9),
        record(1, session="a", input_tokens=None, cost=2 * 10**9, agent="sales"),
        record(2, session="b/c", outcome="upstream_status", status=500),
    )
    assert await ids(running, path="/api/sessions") == ["b/c", "a"]
    assert await ids(running, path="/api/sessions", session="b/c") == ["b/c"]
    status, session = await get(running, "/api/sessions/a")
    assert (status, session["requests"], session["cost"], session["agents"]) == (
        200,
        2,
        "3",
        ["sales", "support"],
    )
    assert (await get(running, "/api/sessions/none"))[0] == 404
    _, sums = await get(running, "/api/statistics", by="agent")
    assert {row["agent"]: (row["requests"], row["cost"]) for row in sums["items"]} == {
        "sales": (1, "2"),
        "support": (2, "1"),
    }
    _, sums = await get(
        running, "/api/statistics", by="time", bucket="day", **{"from": "2025-01-01T00:00:00Z"}
    )
    assert [row["requests"] for row in sums["items"]] == [3]
    assert (await get(running, "/api/statistics", by="colour"))[0] == 400


class TestOwnAgentAlone:
    """A virtual key sees what its own agent did, and nothing else of anybody."""

    @pytest.fixture
    async def two(self, running):
        key = await running.made(ADMIN, "/api/virtual-keys", name="k", agent="support")
        other = record(1, agent="sales", session="shared", request=REQUEST, response=RESPONSE, cost=10**9)
        own = record(0, session="shared", request=REQUEST, response=RESPONSE, cost=10**9)
        only_other = record(2, agent="sales", session="theirs")
        nobody = record(3, agent=None)
        await running.rows(own, other, only_other, nobody)
        return running, key["secret"], own, other

    async def test_lists(self, two):
        running, key, own, _ = two
        assert await ids(running, key) == [own.id]
        assert await ids(running, key, agent="support") == [own.id]
        assert (await get(running, "/api/interactions", key, agent="sales"))[0] == 403
        _, lines, _ = await running.ask("GET", "/api/interactions/export", key)
        assert [orjson.loads(line)["id"] for line in lines.splitlines()] == [own.id]
        assert (await running.ask("GET", "/api/interactions/export?agent=sales", key))[0] == 403

    @pytest.mark.parametrize("path", ["", "/request", "/forwarded", "/response"])
    async def test_ids(self, two, path):
        running, key, own, other = two
        expected = 404 if path == "/forwarded" else 200
        assert (await running.ask("GET", f"/api/interactions/{own.id}{path}", key))[0] == expected
        not_own = await running.ask("GET", f"/api/interactions/{other.id}{path}", key)
        nowhere = await running.ask("GET", f"/api/interactions/{record().id}{path}", key)
        assert not_own[:2] == nowhere[:2]
        assert not_own[0] == 404

    async def test_sessions(self, two):
        running, key, _, _ = two
        assert await ids(running, key, "/api/sessions") == ["shared"]
        _, session = await get(running, "/api/sessions/shared", key)
        assert (session["requests"], session["cost"], session["agents"]) == (1, "1", ["support"])
        assert (await get(running, "/api/sessions/theirs", key))[0] == 404
        assert (await get(running, "/api/sessions", key, agent="sales"))[0] == 403

    @pytest.mark.parametrize("by", ["time", "agent", "team", "user", "model", "provider"])
    async def test_statistics(self, two, by):
        running, key, _, _ = two
        _, sums = await get(running, "/api/statistics", key, by=by)
        assert sum(row["requests"] for row in sums["items"]) == 1

    async def test_everything_else_is_closed(self, two):
        running, key, _, _ = two
        open_ = {"/api/session"} | {
            route.path
            for route in running.console.routes.all
            if route.path.startswith(("/api/interactions", "/api/sessions", "/api/statistics", "/api/tools"))
        }
        for route in running.console.routes.all:
            path = route.path.replace("{id}", "x")
            options = {} if route.method in ("GET", "DELETE") else {"json": {}}
            status, _, _ = await running.ask(route.method, path, key, **options)
            if route.path in open_ and route.method == "GET":
                assert status in (200, 404), route.path
            else:
                assert status == 403, (route.method, route.path)


@pytest.mark.parametrize(
    "text", ["' OR 1=1 --", '"; DROP TABLE x; --', "%27", "a\\'", "$1", ":id", "{id}", "\uff58\uff07"]
)
async def test_what_looks_like_sql_is_text(running, text):
    await running.rows(record())
    encoded = quote(text, safe="")
    for path in (f"/api/interactions/{encoded}", f"/api/sessions/{encoded}", f"/api/agents/{encoded}"):
        for method in ("GET", "DELETE"):
            async with running.session.request(
                method, URL(running.url + path, encoded=True), headers={"Authorization": f"Bearer {ADMIN}"}
            ) as response:
                assert response.status in (400, 404, 405), path
    for name in ("agent", "session", "model", "q", "after", "tool"):
        status, body = await get(running, "/api/interactions", **{name: text})
        assert status in (200, 400), body
    assert (await running.ask("GET", "/api/session", text.encode().decode("latin-1")))[0] == 401
    assert len(await ids(running)) == 1
