"""Virtual keys through a running gateway: every carrier, every class of route, every state of a key.

What one carrier is refused, all are; and whatever happens, no virtual key reaches a provider.
"""

import asyncio
import base64
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
import pytest_asyncio

from gateway.secrets import Keyring, new_virtual_key
from tests.clients.scripted import Scripted, http, request, scripted
from tests.harness.client import exchange

pytestmark = pytest.mark.asyncio(loop_scope="module")

MASTER = "canary-master-" + "m" * 32
RING = Keyring(MASTER)
STATES = {
    "valid": 'agent = "support"\nstored = true',
    "no_storage": "",
    "one_provider": 'providers = ["mistral"]\nstored = true',
    "one_model": 'models = ["other-*"]',
    "its_model": 'models = ["m", "gemini-*"]\nstored = true',
    "revoked": "revoked = true",
    "expired": "expires = 2020-01-01T00:00:00Z",
}
KEYS = {name: new_virtual_key() for name in (*STATES, "unknown")}
CHAT = b'{"model":"m","messages":[]}'
ROUTES = {
    "adapted": ("openai", "POST", "/v1/openai/chat/completions", CHAT),
    "adapted_messages": ("anthropic", "POST", "/v1/anthropic/v1/messages", CHAT),
    "model_in_the_path": ("gemini", "POST", "/v1/gemini/v1beta/models/gemini-x:generateContent", b"{}"),
    "of_an_agent": ("openai", "POST", "/v1/openai/@support/responses", b'{"model":"m","input":""}'),
    "at_the_root": ("openai", "POST", "/v1/chat/completions", CHAT),
    "row": ("groq", "POST", "/v1/groq/chat/completions", CHAT),
    "opaque": ("openai", "POST", "/v1/openai/files", b"x"),
    "opaque_reading": ("openai", "GET", "/v1/openai/models", None),
    "stateful": ("openai", "POST", "/v1/openai/batches", b"{}"),
    "unlisted": ("mistral", "POST", "/v1/mistral/anything/at/all", b"{}"),
}
UNSEEN = {"opaque", "stateful", "unlisted"}


def carried(key: str) -> dict[str, tuple[list[str], str]]:
    """The headers and the query in which clients send a key."""
    return {
        "authorization": ([f"Authorization: Bearer {key}"], ""),
        "x-api-key": ([f"x-api-key: {key}"], ""),
        "x-goog-api-key": ([f"x-goog-api-key: {key}"], ""),
        "query": ([], f"?key={key}"),
        "cookie": ([f"Cookie: key={key}; session={key}"], ""),
    }


CARRIERS = list(carried(""))


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["required", "passthrough"])
async def gate(request, tmp_path_factory) -> AsyncIterator[Scripted]:
    text = f'auth = "{request.param}"\n[providers.mistral]\nforward_unlisted = true\n[[agents]]\nslug = "support"\n'
    for name, fields in STATES.items():
        text += f'[[virtual_keys]]\nname = "{name}"\nhash = "{RING.hash(KEYS[name])}"\n{fields}\n'
    file = tmp_path_factory.mktemp("keys") / "gateway.toml"
    file.write_text(text)
    providers = ("openai", "anthropic", "gemini", "groq", "mistral")
    env = {f"{name.upper()}_API_KEY": f"stored-key-of-{name}" for name in providers}
    async with scripted(env | {"GATEWAY_CONFIG": str(file), "GATEWAY_SECRET_KEY": MASTER}) as running:
        running.required = request.param == "required"
        yield running
        output = "\n".join(running.gateway.output.lines)
        for secret in (*KEYS.values(), *env.values(), MASTER, *map(RING.hash, KEYS.values())):
            assert secret not in output


def expected(route: str, state: str, carrier: str, *, required: bool) -> int:
    """The status that a request must get; 200: it reaches the provider."""
    if carrier == "cookie":  # carries no key
        return 401 if required else 200
    if state in ("unknown", "revoked", "expired"):
        return 401
    if state == "one_provider" and ROUTES[route][0] != "mistral":
        return 403
    if state == "one_model" and route != "opaque_reading":
        return 403
    if state == "no_storage" and route in UNSEEN:
        return 403
    return 403 if state == "its_model" and route in UNSEEN else 200


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("route", ROUTES)
async def test_every_carrier_is_judged_alike(gate, route, carrier):
    provider, method, target, body = ROUTES[route]
    for state, key in KEYS.items():
        headers, query = carried(key)[carrier]
        sent = request(target + query, body, [*headers, f"X-Custom: {key}"], method)
        status = expected(route, state, carrier, required=gate.required)
        if status != 200:
            got = await gate.refused(sent)
            assert got.raw.startswith(f"HTTP/1.1 {status} ".encode()), (state, got.raw[:300])
        else:
            got, received = await gate.ask(sent, http(b"{}"))
            whole = received.raw_head + bytes(received.body)
            assert b"gw_" not in whole
            lent = [value for _, value in received.headers if "stored-" in value]
            assert len(lent) == (carrier != "cookie"), (state, received.headers)
            assert all(value.endswith(f"stored-key-of-{provider}") for value in lent)
            assert "key=" not in received.line
        assert b"gw_" not in got.raw
        assert b"stored-" not in got.raw


@pytest.mark.parametrize("carrier", CARRIERS[:4])
@pytest.mark.parametrize("route", ROUTES)
async def test_two_different_credentials(gate, route, carrier):
    _, method, target, body = ROUTES[route]
    headers, query = carried(KEYS["valid"])[carrier]
    others = (f"api-key: {KEYS['its_model']}", "api-key: sk-own", "Authorization: Basic dTpw")
    for other in others[: 2 if carrier == "authorization" else 3]:
        got = await gate.refused(request(target + query, body, [*headers, other], method))
        assert got.raw.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("route", ROUTES)
async def test_a_virtual_key_in_a_place_that_nothing_reads(gate, route):
    _, method, target, body = ROUTES[route]
    key = KEYS["valid"]
    basic = base64.b64encode(f"user:{key}".encode()).decode()
    for headers, query in (
        ([f"Authorization: Token {key}"], ""),
        ([f"Authorization: Basic {basic}"], ""),
        ([], f"?other={key}"),
        ([], f"?a=1;key={key}"),
    ):
        got = await gate.refused(request(target + query, body, headers, method))
        assert got.raw.startswith(b"HTTP/1.1 400 "), got.raw[:300]


async def test_a_stored_hash_is_no_key(gate):
    for key in (RING.hash(KEYS["valid"]), "gw_" + RING.hash(KEYS["valid"])):
        sent = request(ROUTES["adapted"][2], CHAT, [f"Authorization: Bearer {key}"])
        if gate.required or key.startswith("gw_"):
            assert (await gate.refused(sent)).raw.startswith(b"HTTP/1.1 401 ")
        else:
            _, received = await gate.ask(sent, http(b"{}"))
            assert b"stored-" not in received.raw_head


async def test_the_record_says_who_it_was(gate):
    sent = request(ROUTES["adapted"][2], CHAT, [f"x-api-key: {KEYS['valid']}"])
    got, _ = await gate.ask(sent, http(b"{}"))
    assert (await gate.record(got))["agent"] == "support"


async def test_a_body_that_names_two_models(gate):
    body = b'{"model":"m","messages":[],"model":"other"}'
    sent = request(ROUTES["adapted"][2], body, [f"x-api-key: {KEYS['its_model']}"])
    assert (await gate.refused(sent)).raw.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "path", ["gemini-x%2F..%2Fother", "gemini-x/../other", "gemini-x%252F..%252Fother", "gemini-x?x="]
)
async def test_a_model_in_the_path_is_the_one_that_is_judged(gate, path):
    sent = request(
        f"/v1/gemini/v1beta/models/{path}:generateContent", b"{}", [f"x-api-key: {KEYS['its_model']}"]
    )
    await gate.refused(sent)


HOSTILE = [
    "' OR '1'='1",
    "x'; DROP TABLE virtual_keys; --",
    '" OR ""="',
    "%' UNION SELECT 1 --",
    "\\x00'",
    "{{7*7}}",
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_what_would_be_a_query_elsewhere_is_only_text(gate, text):
    """In every slot for a key, an agent or a label; none is more than unknown."""
    valid = f"x-api-key: {KEYS['valid']}"
    target = ROUTES["adapted"][2]
    for key in (f"gw_{text}", KEYS["valid"] + text):
        for headers, query in (carried(key)[carrier] for carrier in CARRIERS[:3]):
            got = await gate.refused(request(target + query, CHAT, headers))
            assert got.raw[9:12] == b"401", got.raw[:200]
        got = await gate.refused(request(f"{target}?key={quote(key)}", CHAT))
        assert got.raw[9:12] == b"401", got.raw[:200]
    got = await gate.refused(request(target, CHAT, [valid, f"X-Gateway-Agent: {text}"]))
    assert got.raw[9:12] == b"400"
    got = await gate.refused(request(f"/v1/openai/@{quote(text, safe='')}/chat/completions", CHAT, [valid]))
    assert got.raw[9:12] == b"400"
    labels = [f"X-Gateway-{name}: {text}" for name in ("User-Id", "Session-Id", "Run-Id", "Agent-Id")]
    got, _ = await gate.ask(request(target, CHAT, [valid, *labels]), http(b"{}"))
    assert (await gate.record(got))["user"] == text


async def test_many_at_once_are_not_mixed_up(gate):
    """A key that holds, and one that does not, in turn and at the same time."""
    await gate.reset()
    target = ROUTES["adapted"][2]

    async def refused(state: str) -> bool:
        got = await exchange(gate.gateway.port, request(target, CHAT, [f"x-api-key: {KEYS[state]}"]))
        return got.raw.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 403 "))

    states = ["unknown", "revoked", "expired", "one_provider", "one_model"] * 20
    assert all(await asyncio.gather(*map(refused, states)))
    assert not gate.upstream.requests


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("status", [401, 500])
async def test_a_lent_key_that_a_provider_repeats_does_not_reach_its_borrower(gate, route, status):
    """Whole or in chunks, short or long, in body or header; the client's own key comes back as it was sent."""
    provider, method, target, body = ROUTES[route]
    lent = f"stored-key-of-{provider}".encode()
    head = f"HTTP/1.1 {status} No\r\ncontent-type: application/json\r\nx-key: {lent.decode()}"
    said = b'{"error":{"message":"Incorrect API key provided: %b."}}' % lent
    sent = request(target, body, [f"x-api-key: {KEYS['valid']}"], method)
    for padding in (b"", b" " * 200_000):
        answer = padding + said
        pieces = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (answer[:-30], answer[-30:]))
        chunked = f"{head}\r\ntransfer-encoding: chunked\r\n\r\n".encode() + pieces + b"0\r\n\r\n"
        for upstream in (http(answer, head), chunked):
            got, _ = await gate.ask(sent, upstream)
            assert got.response.status == status
            assert got.response.complete
            assert got.response.body == answer.replace(lent, b"[redacted]")
            assert got.response.header("x-key") == "[redacted]"
            assert lent not in got.raw
    assert (await gate.record(got))["outcome"] == "upstream_status"
    if not gate.required:
        own = request(target, body, [f"Authorization: Bearer {lent.decode()}"], method)
        got, _ = await gate.ask(own, http(said, head))
        assert (got.response.body, got.response.header("x-key")) == (said, lent.decode())
