"""Where a session is found, by its source; and that it goes upstream as it came."""

import asyncio

import msgspec
import pytest
import pytest_asyncio

from tests.clients.scripted import scripted
from tests.harness import sinks
from tests.harness.dialects import DIALECTS
from tests.harness.upstream import whole

pytestmark = pytest.mark.asyncio(loop_scope="module")

CODEX = "0198c3a0-0000-7000-8000-00000000c0de"
CLAUDE = "0198c3a0-0000-7000-8000-00000000c1a0"
METADATA = {"metadata": {"user_id": f"user_1_account_2_session_{CLAUDE}"}}
CASES = [
    ("responses", [f"session-id: {CODEX}"], {}, (CODEX, "session-id")),
    ("responses", [f"Session-Id: {CODEX}"], {"prompt_cache_key": "k", "user": "u"}, (CODEX, "session-id")),
    ("responses", [], {"prompt_cache_key": "k", "user": "u"}, ("k", "prompt_cache_key")),
    ("responses", [], {"user": "u"}, ("u", "user")),
    ("chat", [f"session-id: {CODEX}"], {"user": "u"}, (CODEX, "session-id")),
    ("chat", ["x-session-id: s"], {"user": "u"}, ("s", "x-session-id")),
    ("chat", [], {"prompt_cache_key": "k", "user": "u"}, ("k", "prompt_cache_key")),
    ("chat", [], {"user": "u"}, ("u", "user")),
    ("chat", ["session-id: "], {"user": "u"}, ("u", "user")),
    ("chat", ["x-gateway-session-id: mine", f"session-id: {CODEX}"], {"user": "u"}, ("mine", "header")),
    ("chat", ["x-archestra-session-id: mine"], {"user": "u"}, ("mine", "header")),
    ("chat", [f"session-id: {'x' * 300}"], {}, ("x" * 256, "session-id")),
    ("chat", [], {"user": "x" * 3000}, ("x" * 256, "user")),
    ("chat", [], {}, (None, None)),
    ("anthropic", [], METADATA, (CLAUDE, "metadata.user_id")),
    ("anthropic", [f"x-claude-code-session-id: {CLAUDE}"], {}, (CLAUDE, "x-claude-code-session-id")),
    ("anthropic", ["x-gateway-session-id: mine"], METADATA, ("mine", "header")),
    ("gemini", ["x-gateway-session-id: mine"], {}, ("mine", "header")),
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gate():
    async with scripted() as running:
        yield running


@pytest.mark.parametrize(("wire", "headers", "members", "expected"), CASES)
async def test_sessions(gate, wire, headers, members, expected):
    dialect = DIALECTS[wire]
    body = msgspec.json.encode(msgspec.json.decode(dialect.body(stream=False)) | members)
    sent = dialect.request(stream=False, body=body, headers="".join(f"{each}\r\n" for each in headers))
    got, received = await gate.ask(sent, [whole(lambda d: d.whole())], dialect=dialect)
    assert got.response.status == 200
    line = await gate.record(got)
    assert (line["session"], line["session_source"]) == expected
    await asyncio.to_thread(sinks.wait_for, gate.gateway.state.name, {line["id"]})
    rows = await asyncio.to_thread(sinks.rows, gate.gateway.state.name)
    assert [row.more.get("session_source") for row in rows if row.id == line["id"]] == [expected[1]]
    theirs = [each for each in headers if not each.lower().startswith(("x-gateway-", "x-archestra-"))]
    assert all(each.encode() in received.raw_head for each in theirs)
