"""What can be declared or created, and what is said of a value that can't be."""

from datetime import UTC, datetime

import msgspec
import pytest

from gateway.core.entities import (
    KINDS,
    Agent,
    Limit,
    ModelOptimizationRule,
    Price,
    ProviderSecret,
    ToolInvocationPolicy,
    VirtualKey,
)

HASH = "0f" * 32


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
