"""What holds at one moment, from what is declared and what was created."""

import msgspec
import pytest

from gateway.core.entities import KINDS, Agent, ConsoleToken, Limit, Price, Team, VirtualKey
from gateway.core.snapshot import Snapshots, build, merged

HASH = "0f" * 32


def test_what_is_declared_wins_over_what_was_created():
    created = {"agents": [Agent(id="1", slug="a", name="created"), Agent(id="2", slug="b")]}
    declared = {"agents": [Agent(slug="a", name="declared").as_declared()], "limits": [Limit(id="x")]}
    entities = merged(created, declared)
    assert [(agent.id, agent.declared) for agent in entities["agents"]] == [("a", True), ("2", False)]
    assert entities["limits"] == (Limit(id="x"),)
    assert set(entities) == set(KINDS)


def test_nothing_that_was_created_takes_the_id_of_what_is_declared():
    declared = {"agents": [Agent(id="a", slug="x").as_declared()]}
    for thief in (Agent(id="a", slug="b"), Agent(id="2", slug="a")):
        assert build(merged({"agents": [thief]}, declared)).agents["a"].slug == "x"


def test_agents_are_found_by_slug_and_by_id():
    snapshot = build({"agents": [Agent(id="1", slug="a")]})
    assert snapshot.agents["a"] is snapshot.agents["1"]


def test_a_slug_can_not_take_the_place_of_another_ones_id():
    victim, thief = Agent(id="1", slug="victim"), Agent(id="2", slug="1")
    for order in ([victim, thief], [thief, victim]):
        assert build({"agents": order}).agents["1"] is victim


@pytest.mark.parametrize(
    ("entity", "field"),
    [
        (VirtualKey(name="k", agent="support", team="care", providers=("acme",)), None),
        (VirtualKey(name="k", agent="1", user="anybody"), None),
        (VirtualKey(name="k", agent="nobody"), "agent"),
        (VirtualKey(name="k", team="support"), "team"),
        (VirtualKey(name="k", providers=("acme", "acne")), "providers"),
        (Price(provider="acne", model="m"), "provider"),
        (Limit(kind="cost", scope_id="nobody"), None),
        (Limit(kind="cost", scope="agent", scope_id="support"), None),
        (Limit(kind="cost", scope="agent", scope_id="care"), "scope_id"),
        (Limit(kind="cost", scope="team", scope_id="2"), None),
        (Limit(kind="cost", scope="team", scope_id="support"), "scope_id"),
        (Limit(kind="cost", scope="user", scope_id="anybody"), None),
        (Limit(kind="cost", scope="virtual_key", scope_id="k1"), None),
        (Limit(kind="cost", scope="virtual_key", scope_id="ci"), "scope_id"),
    ],
)
def test_what_is_named_must_be_there(entity, field):
    entities = {
        "agents": [Agent(id="1", slug="support")],
        "teams": [Team(id="2", slug="care")],
        "virtual_keys": [VirtualKey(id="k1", name="ci", hash=HASH)],
    }
    found = build(entities, providers={"acme": None}).dangling(entity)
    assert (found and found[0]) == field


def test_the_default_agent_needs_no_making():
    assert build({}, default_agent="main").agents["main"].slug == "main"
    made = Agent(id="1", slug="main", team="care")
    assert build({"agents": [made]}, default_agent="main").agents["main"] is made


def test_keys_and_tokens_are_found_by_hash_and_prices_by_model():
    key, token = VirtualKey(name="ci", hash=HASH), ConsoleToken(name="t", hash=HASH)
    price = Price(provider="acme", model="m", input=1.0)
    snapshot = build({"virtual_keys": [key], "console_tokens": [token], "prices": [price]}, version=3)
    assert snapshot.virtual_keys == {bytes.fromhex(HASH): key}
    assert snapshot.console_tokens == {bytes.fromhex(HASH): token}
    assert snapshot.prices == {("acme", "m"): price}
    assert snapshot.version == 3


def test_it_is_immutable_and_tells_no_secret():
    snapshot = build({}, secrets={"acme": "sk-1"})
    with pytest.raises(AttributeError):
        snapshot.auth = "open"
    assert "sk-1" not in repr(snapshot)
    assert msgspec.structs.replace(snapshot, version=2).secrets == {"acme": "sk-1"}


def test_the_holder_begins_with_an_empty_one():
    assert (Snapshots().current.version, Snapshots().current.agents) == (0, {})
    assert Snapshots(build({}, version=1)).current.version == 1
