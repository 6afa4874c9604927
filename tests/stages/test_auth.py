"""Who calls, and which credential goes upstream."""

from contextlib import nullcontext
from datetime import UTC, datetime

import msgspec
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.core.adapter import RequestAdapter
from gateway.core.entities import Agent, Team, User, VirtualKey
from gateway.core.errors import BadRequest, Forbidden, NotFound, Unauthorized
from gateway.core.interaction import Interaction
from gateway.core.provider import Endpoint, Provider, Row
from gateway.core.snapshot import Snapshots, build
from gateway.headers import RequestHeaders
from gateway.providers.openai.chat_request import ChatRequest
from gateway.providers.openai.responses_request import ResponsesRequest
from gateway.secrets import Keyring, new_virtual_key
from gateway.stages.auth import Auth as Stage

RING = Keyring("m" * 32)
KEY = new_virtual_key()
NOW = 1_800_000_000.0


def Auth(mode, secrets, default_agent="default", **entities):  # noqa: N802  # reads as the stage that it makes
    snapshot = build(entities, auth=mode, default_agent=default_agent, secrets=secrets)
    return Stage(Snapshots(snapshot), RING.digest)


def virtual(mode="required", *, key=KEY, secrets=None, **fields):
    """The stage with one virtual key, of an agent in a team."""
    fields = {"id": "k1", "name": "ci", "hash": RING.hash(key), "agent": "support"} | fields
    support = Agent(id="1", slug="support", name="Support", team="t1", labels={"env": "prod"})
    return Auth(
        mode,
        {"acme": "secret"} if secrets is None else secrets,
        virtual_keys=[VirtualKey(**fields)],
        agents=[support, Agent(id="2", slug="other")],
        teams=[Team(id="t1", slug="care")],
        users=[User(id="u1", slug="alice")],
    )


def interaction(*headers, query="", agent="", provider="acme", endpoint=None):
    row = Row(name=provider, base_url="http://acme.example")
    endpoint = endpoint or Endpoint("POST", "/x", RequestAdapter)
    i = Interaction("id", Provider(row), endpoint, CIMultiDict(headers), query=query, started_at=NOW)
    i.agent = agent
    sorted_ = RequestHeaders(CIMultiDictProxy(CIMultiDict(headers)))
    i.presented, i.ours = sorted_.credentials, sorted_.ours
    return i


def keyed(*headers, **more):
    return interaction(("Authorization", f"Bearer {KEY}"), *headers, **more)


async def resolved(auth, i):
    await auth.on_headers(i)
    return i


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "api-key", "x-goog-api-key"])
async def test_the_clients_own_key_stays_in_the_header_it_came_in(name):
    i = await resolved(Auth("passthrough", {}), interaction((name, "k1")))
    assert i.credential.headers == ((name, "k1"),)
    assert i.credential.secret == ""
    assert "k1" not in repr(i.credential)


async def test_a_key_in_the_query_stays_there():
    i = await resolved(Auth("passthrough", {}), interaction(query="alt=sse&key=k1"))
    assert i.credential.headers == ()


async def test_the_same_key_twice_is_one_credential():
    i = await resolved(
        Auth("passthrough", {}), interaction(("Authorization", "Bearer k1"), ("x-api-key", "k1"))
    )
    assert len(i.credential.headers) == 2


@pytest.mark.parametrize(
    "i",
    [
        interaction(("Authorization", "Bearer k1"), ("x-api-key", "k2")),
        interaction(("Authorization", "Bearer k1"), ("Authorization", "Bearer k2")),
        interaction(("x-goog-api-key", "k1"), query="key=k2"),
        interaction(query="key=k1&key=k2"),
    ],
)
async def test_two_different_credentials(i):
    with pytest.raises(BadRequest, match="two different credentials"):
        await Auth("passthrough", {}).on_headers(i)


async def test_a_credential_that_is_not_ascii():
    with pytest.raises(BadRequest, match="not ASCII"):
        await Auth("passthrough", {}).on_headers(interaction(("x-api-key", "ключ")))


async def test_no_key_at_all_passes_without_one():
    i = await resolved(Auth("passthrough", {"acme": "secret"}), interaction())
    assert i.credential is None


async def test_open_lends_the_operators_key_only_to_whoever_brings_none():
    auth = Auth("open", {"acme": "secret"})
    assert (await resolved(auth, interaction())).credential.secret == "secret"
    assert (await resolved(auth, interaction(("x-api-key", "own")))).credential.secret == ""
    assert (await resolved(auth, interaction(provider="other"))).credential is None


async def test_required_accepts_no_key_that_is_not_its_own():
    with pytest.raises(Unauthorized):
        await Auth("required", {"acme": "secret"}).on_headers(interaction(("Authorization", "Bearer sk-1")))


async def test_the_agent_is_the_default_one_or_the_one_named():
    auth = Auth("passthrough", {}, "main")
    for i in (interaction(), interaction(agent="main"), interaction(("X-Gateway-Agent", "main"))):
        assert (await resolved(auth, i)).principal.agent == "main"


async def test_an_agent_is_found_by_slug_and_by_id_and_says_what_it_is():
    made = Agent(id="1", slug="support", name="Support", team="care", context_untrusted=True)
    auth = Auth("passthrough", {}, agents=[made])
    for i in (interaction(agent="1"), interaction(("X-Gateway-Agent", "1"), agent="support")):
        principal = (await resolved(auth, i)).principal
        assert (principal.agent, principal.agent_id, principal.agent_name) == ("support", "1", "Support")
        assert (principal.team, principal.user, principal.virtual_key) == ("care", "", "")
        assert i.context_untrusted


@pytest.mark.parametrize("i", [interaction(agent="other"), interaction(("X-Gateway-Agent", "other"))])
async def test_an_unknown_agent_is_not_found(i):
    with pytest.raises(NotFound, match="There is no agent 'other'"):
        await Auth("passthrough", {}).on_headers(i)


async def test_two_agents_that_disagree():
    with pytest.raises(BadRequest, match="two different agents"):
        await Auth("passthrough", {}).on_headers(interaction(("X-Gateway-Agent", "default"), agent="other"))


@pytest.mark.parametrize("prefix", ["X-Gateway", "X-Archestra"])
async def test_labels(prefix):
    names = ("Agent-Id", "User-Id", "Run-Id", "Session-Id")
    i = await resolved(
        Auth("passthrough", {}), interaction(*((f"{prefix}-{name}", name * 100) for name in names))
    )
    assert (i.external_agent[:8], i.user[:7], i.run[:6]) == ("Agent-Id", "User-Id", "Run-Id")
    assert len(i.external_agent) == 256
    assert i.session[1] == "header"


async def test_ours_comes_before_its_alias():
    i = await resolved(
        Auth("passthrough", {}), interaction(("X-Archestra-User-Id", "b"), ("X-Gateway-User-Id", "a"))
    )
    assert i.user == "a"


@pytest.mark.parametrize(
    "headers",
    [
        (("Authorization", ""), ("x-api-key", "k")),
        (("Authorization", "Bearer "), ("x-api-key", "k")),
        (("Authorization", "bearer k"), ("x-api-key", "k")),
    ],
)
async def test_an_empty_or_repeated_credential_is_no_second_one(headers):
    i = await resolved(Auth("passthrough", {}), interaction(*headers))
    assert i.credential.headers == headers


async def test_labels_that_are_no_text_become_some():
    i = await resolved(Auth("passthrough", {}), interaction(("X-Gateway-User-Id", "caf\udce9")))
    assert i.user == "caf\\udce9"


@pytest.mark.parametrize("value", ["true", "TRUE", "1", "yes", "what?"])
async def test_a_request_says_that_its_context_is_untrusted(value):
    for name in ("X-Gateway-Untrusted-Context", "X-Archestra-Untrusted-Context"):
        assert (await resolved(Auth("passthrough", {}), interaction((name, value)))).context_untrusted


@pytest.mark.parametrize("value", ["", "false", "0", " no "])
async def test_a_request_can_say_that_it_is_not_but_not_against_its_agent(value):
    header = ("X-Gateway-Untrusted-Context", value)
    assert not (await resolved(Auth("passthrough", {}), interaction(header))).context_untrusted
    agents = [Agent(id="1", slug="default", context_untrusted=True)]
    assert (await resolved(Auth("passthrough", {}, agents=agents), interaction(header))).context_untrusted


@pytest.mark.parametrize("mode", ["required", "passthrough", "open"])
@pytest.mark.parametrize(
    "carrier",
    [
        {"headers": [("Authorization", f"Bearer {KEY}")]},
        {"headers": [("authorization", KEY)]},
        {"headers": [("x-api-key", KEY)]},
        {"headers": [("api-key", KEY)]},
        {"headers": [("x-goog-api-key", KEY)]},
        {"headers": [("Authorization", f"Bearer {KEY}"), ("x-api-key", KEY)]},
        {"query": f"key={KEY}"},
        {"query": f"%6bey={KEY.replace('_', '%5F')}"},
    ],
)
async def test_a_virtual_key_is_read_wherever_an_sdk_puts_it_and_stays_here(mode, carrier):
    i = interaction(*carrier.get("headers", ()), query=carrier.get("query", ""))
    await virtual(mode, user="u1").on_headers(i)
    assert i.credential.secret == "secret"
    assert i.credential.headers == ()
    assert i.query == ""
    principal = i.principal
    assert (principal.agent, principal.agent_id, principal.virtual_key) == ("support", "1", "k1")
    assert (principal.team, principal.user, principal.labels) == ("care", "alice", {"env": "prod"})


async def test_what_a_client_says_of_the_user_does_not_count_against_the_key():
    i = await resolved(virtual(user="u1", team="x"), keyed(("X-Gateway-User-Id", "bob")))
    assert (i.user, i.principal.user, i.principal.team) == ("alice", "alice", "x")
    i = await resolved(virtual(), keyed(("X-Gateway-User-Id", "bob")))
    assert (i.user, i.principal.user) == ("bob", "")


async def test_the_query_keeps_what_is_no_credential():
    i = interaction(("x-api-key", KEY), query=f"alt=sse&key={KEY}&x=%20&api_key=")
    await virtual().on_headers(i)
    assert i.query == "alt=sse&x=%20"


@pytest.mark.parametrize("mode", ["required", "passthrough", "open"])
@pytest.mark.parametrize(
    ("key", "fields", "said"),
    [
        (new_virtual_key(), {}, "not one of this gateway's"),
        (RING.hash(KEY), {}, None),
        ("gw_" + RING.hash(KEY), {}, "not one of this gateway's"),
        (KEY[:-1], {}, "not one of this gateway's"),
        (KEY + "x", {}, "not one of this gateway's"),
        (KEY[:-1] + ("a" if KEY[-1] != "a" else "b"), {}, "not one of this gateway's"),
        ("gw_", {}, "not one of this gateway's"),
        ("gw_' OR 1=1 --", {}, "not one of this gateway's"),
        (KEY, {"revoked": True}, "was revoked"),
        (KEY, {"expires": datetime.fromtimestamp(NOW, UTC)}, "expired at 2027-01-15"),
    ],
    ids=range(10),  # those of the keys, which are made at random, would differ from worker to worker
)
async def test_a_virtual_key_that_does_not_hold(mode, key, fields, said):
    i = interaction(("Authorization", f"Bearer {key}"))
    if said is None and mode != "required":
        await virtual(mode, **fields).on_headers(i)
        assert i.credential.secret == ""  # a provider's own key, for all that anyone knows
        return
    with pytest.raises(Unauthorized, match=said or "only its own virtual keys"):
        await virtual(mode, **fields).on_headers(i)
    assert i.credential is None
    assert i.principal is None


async def test_a_key_that_expires_later_holds():
    i = await resolved(virtual(expires=datetime.fromtimestamp(NOW + 1, UTC)), keyed())
    assert i.principal.virtual_key == "k1"


async def test_two_keys_that_share_a_long_beginning_are_two():
    first, second = "gw_" + "x" * 120 + "a", "gw_" + "x" * 120 + "b"
    auth = virtual(key=first)
    for _ in range(2):
        assert (await resolved(auth, interaction(("x-api-key", first)))).principal.virtual_key == "k1"
        with pytest.raises(Unauthorized):
            await auth.on_headers(interaction(("x-api-key", second)))


async def test_a_revocation_takes_effect_with_the_next_snapshot():
    key = VirtualKey(id="k1", name="ci", hash=RING.hash(KEY))
    snapshots = Snapshots(build({"virtual_keys": [key]}, secrets={"acme": "s1"}))
    auth = Stage(snapshots, RING.digest)
    assert (await resolved(auth, keyed())).credential.secret == "s1"
    snapshots.current = build({"virtual_keys": [key]}, secrets={"acme": "s2"})
    assert (await resolved(auth, keyed())).credential.secret == "s2"
    snapshots.current = build({}, secrets={"acme": "s2"})
    with pytest.raises(Unauthorized):
        await auth.on_headers(keyed())


async def test_the_agent_of_a_key_can_be_named_but_no_other():
    for i in (keyed(agent="support"), keyed(("X-Gateway-Agent", "1"), agent="support")):
        assert (await resolved(virtual(), i)).principal.agent == "support"
    for name in ("other", "2", "default", "missing"):
        for i in (
            keyed(agent=name),
            keyed(("X-Gateway-Agent", name)),
            keyed(("X-Gateway-Agent", name), agent="1"),
        ):
            with pytest.raises(BadRequest, match="agent"):
                await virtual().on_headers(i)


async def test_a_key_of_no_agent_may_name_any():
    assert (await resolved(virtual(agent=""), keyed())).principal.agent == "default"
    assert (await resolved(virtual(agent=""), keyed(agent="2"))).principal.agent == "other"


@pytest.mark.parametrize("agent", ["", "default"])
async def test_a_key_whose_agent_is_gone_reaches_none(agent):
    with pytest.raises((Forbidden, BadRequest), match="agent"):
        await virtual(agent="gone").on_headers(keyed(agent=agent))


async def test_providers_that_a_key_is_for():
    await virtual(providers=("acme",)).on_headers(keyed())
    i = keyed()
    with pytest.raises(Forbidden, match="not for acme; it is for one, two"):
        await virtual(providers=("one", "two")).on_headers(i)
    assert i.credential is None


async def test_a_provider_without_a_stored_key():
    with pytest.raises(Forbidden, match="This gateway has no key for acme"):
        await virtual(secrets={"other": "s"}).on_headers(keyed())


@pytest.mark.parametrize(
    "i",
    [
        keyed(("x-api-key", "sk-1")),
        keyed(("x-api-key", new_virtual_key())),
        keyed(query="key=sk-1"),
        keyed(query="access_token=sk-1"),
        interaction(("x-foo-api-key", KEY), ("x-auth-token", "sk-1")),
    ],
)
@pytest.mark.parametrize("mode", ["required", "passthrough", "open"])
async def test_a_virtual_key_and_another_credential(mode, i):
    with pytest.raises(BadRequest, match="two different credentials"):
        await virtual(mode).on_headers(i)


class Body(RequestAdapter):
    @property
    def model(self):
        return self.body.decode().partition('"model":"')[2].partition('"')[0]


async def asked(auth, body, **more):
    i = await resolved(auth, keyed(**more))
    i.request = Body(body)
    await auth.on_request(i)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4o-mini", "o1"])
async def test_models_that_a_key_is_for(model):
    await asked(virtual(models=("gpt-4o*", "o1")), b'{"model":"%s"}' % model.encode())


@pytest.mark.parametrize("model", ["gpt-4", "GPT-4o", "o1-pro", "", " gpt-4o", "x/gpt-4o", "o1\\n"])
async def test_models_that_a_key_is_not_for(model):
    with pytest.raises(Forbidden, match=r"not for the model .*; it is for gpt-4o\*, o1\."):
        await asked(virtual(models=("gpt-4o*", "o1")), b'{"model":"%s"}' % model.encode())


async def test_every_model_that_may_answer_is_judged():
    auth = virtual(models=("gpt-4o*",))
    for request in (ChatRequest, ResponsesRequest):
        for others, good in (
            (["gpt-4o-mini"], True),
            (["gpt-4o", "o1"], False),
            ([], True),
            ([{}], request is ChatRequest),
        ):
            i = await resolved(auth, keyed())
            i.request = request(msgspec.json.encode({"model": "gpt-4o", "models": others}))
            with nullcontext() if good else pytest.raises(Forbidden, match="not for the model"):
                await auth.on_request(i)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "odd"])
async def test_a_web_page_of_another_site_is_lent_nothing(site):
    auth = Auth("open", {"acme": "secret"})
    with pytest.raises(Forbidden, match="web page"):
        await auth.on_headers(interaction(("Sec-Fetch-Site", site)))
    await auth.on_headers(interaction(("Sec-Fetch-Site", site), ("x-api-key", "own")))
    for own in ("none", "same-origin"):
        assert (await resolved(auth, interaction(("Sec-Fetch-Site", own)))).credential.secret == "secret"


async def test_a_model_that_is_named_twice():
    with pytest.raises(BadRequest, match="'model' twice"):
        await asked(virtual(models=("gpt-4o*",)), b'{"model":"gpt-4o","model":"o1"}')
    await asked(virtual(), b'{"model":"gpt-4o","model":"o1"}')


async def test_a_key_for_some_models_does_not_reach_what_shows_none():
    auth = virtual(models=("gpt-4o*",))
    await asked(auth, b"", endpoint=Endpoint("GET", "/models"))
    auth = virtual(models=("gpt-4o*",), stored=True)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        with pytest.raises(Forbidden, match="whose model the gateway can't see"):
            await asked(auth, b"", endpoint=Endpoint(method, "/batches"))
    await asked(virtual(stored=True), b"", endpoint=Endpoint("POST", "/batches"))


async def test_a_key_does_not_reach_what_others_keep_at_the_provider():
    for endpoint in (
        Endpoint("GET", "/files"),
        Endpoint("GET", "/files/{file}"),
        Endpoint("POST", "/b", stateful=True),
    ):
        with pytest.raises(Forbidden, match="kept at the provider"):
            await virtual().on_headers(keyed(endpoint=endpoint))
        await virtual(stored=True).on_headers(keyed(endpoint=endpoint))
        await virtual("passthrough").on_headers(interaction(("x-api-key", "own"), endpoint=endpoint))
    await virtual().on_headers(keyed(endpoint=Endpoint("POST", "/audio/speech")))
