"""Who calls, and which credential goes upstream."""

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.core.errors import BadRequest, NotFound, Unauthorized
from gateway.core.interaction import Interaction
from gateway.core.provider import Endpoint, Provider, Row
from gateway.headers import RequestHeaders
from gateway.stages.auth import Auth


def interaction(*headers, query="", agent="", provider="acme"):
    row = Row(name=provider, base_url="http://acme.example")
    i = Interaction("id", Provider(row), Endpoint("POST", "/x"), CIMultiDict(headers), query=query)
    i.agent = agent
    sorted_ = RequestHeaders(CIMultiDictProxy(CIMultiDict(headers)))
    i.presented, i.ours = sorted_.credentials, sorted_.ours
    return i


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
