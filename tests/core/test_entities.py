"""What can be declared or created, and what is said of a value that can't be."""

from datetime import UTC, datetime

import msgspec
import pytest

from gateway.core.conditions import Condition
from gateway.core.entities import (
    KINDS,
    Agent,
    Limit,
    ModelOptimizationRule,
    Price,
    ProviderSecret,
    ToolInvocationPolicy,
    TrustedDataPolicy,
    VirtualKey,
)

HASH = "0f" * 32
REGEX = Condition(key="a", operator="regex", value="(?=b)")


def policy(*conditions, **fields):
    values = {"tool": "x", "action": "block_always", "conditions": conditions} | fields
    return msgspec.convert(values, ToolInvocationPolicy)


def rule(**condition):
    values = {"provider": "acme", "target_model": "m", "conditions": [condition]}
    return msgspec.convert(values, ModelOptimizationRule)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_refuses_unknown_fields_and_survives_a_round_trip(kind):
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({"nmae": 1}, kind)
    entity = kind(id="a")
    assert msgspec.json.decode(msgspec.json.encode(entity), type=kind) == entity


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_names_only_fields_that_it_has(kind):
    assert {*kind.given, *kind.minted, *kind.required} <= set(kind.__struct_fields__)


@pytest.mark.parametrize(
    ("entity", "field"),
    [
        (Agent(), "slug"),
        (Agent(slug="a b"), "slug"),
        (Agent(slug="a/b"), "slug"),
        (Agent(slug=".."), "slug"),
        (Agent(slug="a" * 129), "slug"),
        (Agent(slug="a\n"), "slug"),
        (Agent(slug="a", id="' OR 1=1"), "id"),
        (VirtualKey(name=" ", hash=HASH), "name"),
        (VirtualKey(name="ci"), "hash"),
        (VirtualKey(name="ci", hash="gw_secret"), "hash"),
        (VirtualKey(name="ci", hash=HASH.upper()), "hash"),
        (
            VirtualKey(name="ci", hash=HASH, expires=datetime(2027, 1, 1, tzinfo=UTC).replace(tzinfo=None)),
            "expires",
        ),
        (ToolInvocationPolicy(tool="x"), "action"),
        (Limit(amount=1), "kind"),
        (Limit(kind="cost", amount=-1), "amount"),
        (Limit(kind="cost", amount=float("nan")), "amount"),
        (Limit(kind="cost", scope="team"), "scope_id"),
        (ModelOptimizationRule(provider="acme"), "target_model"),
        (Price(provider="acme", model="m", output=float("inf")), "output"),
        (ProviderSecret(), "provider"),
        (Agent(slug="a", team="b c"), "team"),
        (VirtualKey(name="ci", hash=HASH, models=("gpt-4o*", "")), "models[1]"),
        (VirtualKey(name="ci", hash=HASH, agent="a/b"), "agent"),
        (policy(tool="a[b"), "tool"),
        (policy(agents=("a", "b c")), "agents[1]"),
        (policy(teams=("",)), "teams[0]"),
        (
            policy({"key": "a", "operator": "exists", "value": True}, {"key": "a..b", "operator": "gt"}),
            "conditions[1].key",
        ),
        (policy({"key": "a", "operator": "regex", "value": "("}), "conditions[0].value"),
        (TrustedDataPolicy(tool="x", action="block_always", conditions=(REGEX,)), "conditions[0].value"),
        (Limit(kind="tokens", amount=1.5), "amount"),
        (Limit(kind="tokens", models=("[",)), "models[0]"),
        (Limit(kind="cost", scope_id="default"), "scope_id"),
        (rule(min_length=-1), "conditions[0].min_length"),
        (rule(min_length=10, max_length=9), "conditions[0].min_length"),
        (rule(max_length=-1), "conditions[0].max_length"),
        (rule(model="gpt["), "conditions[0].model"),
        (rule(hour=(9, 25)), "conditions[0].hour"),
        (rule(hour=(24, 3)), "conditions[0].hour"),
        (rule(hour=(-1, 3)), "conditions[0].hour"),
        (rule(hour=(9, 9)), "conditions[0].hour"),
        (rule(hour=(0, 0)), "conditions[0].hour"),
        (ModelOptimizationRule(provider="acme", target_model="gpt-*"), "target_model"),
    ],
)
def test_a_value_that_can_not_be_is_named(entity, field):
    name, why = entity.problem()
    assert name == field
    assert why


@pytest.mark.parametrize(
    "entity",
    [
        Agent(slug="Support-2.eu_1"),
        VirtualKey(name="ci", hash=HASH, expires=datetime(2027, 1, 1, tzinfo=UTC)),
        Limit(kind="cost", scope="team", scope_id="care", amount=2.5),
        Limit(kind="requests"),
        Limit(kind="cost", amount=0.5, models=("gpt-*",)),
        policy({"key": "a[*].b", "operator": "regex", "value": "^x"}, tool="web__*", agents=("a",)),
        rule(min_length=9, max_length=9, model="gpt-4*", hour=(22, 6)),
        rule(hour=(0, 24)),
        rule(),
        Price(provider="acme", model="vendor/model:1", input=0.0),
    ],
)
def test_a_value_that_can_be(entity):
    assert entity.problem() is None


def test_what_is_declared_has_an_id():
    assert Agent(slug="a").as_declared() == Agent(slug="a", id="a", declared=True)
    assert ToolInvocationPolicy(id="no-etc").as_declared().id == "no-etc"
    first, second = (ToolInvocationPolicy(tool=tool).as_declared() for tool in ("x", "y"))
    assert first.id != second.id
    assert first.id == ToolInvocationPolicy(tool="x").as_declared().id
    assert first.problem() == ("action", "it must be there, and not be empty")


def test_what_is_unique():
    assert Agent(id="1", slug="a").natural_key == "a"
    assert VirtualKey(hash=HASH).natural_key == HASH
    assert ProviderSecret(provider="acme").natural_key == "acme"
    assert KINDS["console_tokens"](hash=HASH).natural_key == HASH
    assert Price(provider="acme", model="m").natural_key == "acme/m"
    assert Limit(id="1").natural_key == "1"
