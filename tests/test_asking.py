"""Which model is asked, where, and with whose key, when what is declared changes while a request is served."""

import pytest

from gateway.asking import Asking
from gateway.core.errors import Forbidden
from gateway.core.interaction import Credential, Interaction
from gateway.core.provider import Overrides
from gateway.core.snapshot import Snapshot, Snapshots
from gateway.providers import load
from gateway.settings import Settings
from gateway.upstream import Upstream

MINE = Credential(headers=(("authorization", "Bearer mine"),), key="mine")
MOVED = {"openai": Overrides(base_url="https://moved.example/v1")}


def asking(providers, **secrets):
    settings = Settings()
    current = Snapshots(Snapshot(providers=providers, secrets=secrets))
    return Asking(settings, current, Upstream(settings.timeouts), 0)


def parent(providers, credential=MINE):
    provider = providers["openai"]
    match = provider.match("POST", "/chat/completions")
    i = Interaction("i", provider, match.endpoint, {}, match.path, "k=1")
    i.request = match.endpoint.request(b'{"model":"own","messages":[]}')
    i.credential = credential
    return i


def test_a_key_goes_to_the_provider_of_its_own_snapshot():
    old, new = load(), load(MOVED)
    found = asking(new, openai="new-key")._find(parent(old), "openai/small")
    assert found.provider is new["openai"]
    assert (found.name, found.credential) == ("small", Credential(secret="new-key"))
    assert found.match.endpoint.name == parent(old).endpoint.name


def test_a_client_s_key_goes_to_no_address_that_it_did_not_mean():
    with pytest.raises(Forbidden, match="no key of its own"):
        asking(load(MOVED))._find(parent(load()), "openai/small")


def test_a_client_s_key_goes_to_the_same_provider_of_a_later_snapshot():
    new = load({"groq": Overrides(base_url="https://moved.example/v1")})
    found = asking(new)._find(parent(load()), "openai/small")
    assert found.provider is new["openai"]
    assert found.credential is MINE
    assert found.match.endpoint is parent(load()).endpoint


@pytest.mark.parametrize("mine", [MINE, Credential(secret="old-key")])
def test_the_request_s_own_model_is_asked_as_the_request_is_sent(mine):
    old = load()
    found = asking(load(MOVED), openai="new-key")._find(parent(old, mine), "")
    assert (found.provider, found.name, found.credential) == (old["openai"], "own", mine)


def test_a_provider_that_is_gone_is_not_asked():
    new = {name: provider for name, provider in load().items() if name != "openai"}
    with pytest.raises(Forbidden, match="no provider 'openai'"):
        asking(new, openai="new-key")._find(parent(load()), "openai/small")
