"""Prices by provider and model: the operator's rows first, then the list; names in every spelling."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from gateway.core.provider import Overrides
from gateway.core.view import Usage
from gateway.prices import _MOST, Prices, aliases
from gateway.providers import load

PROVIDERS = load(
    {
        "mine": Overrides(like="openai", base_url="http://127.0.0.1:1/v1"),
        "mirror": Overrides(like="openai", base_url="http://127.0.0.1:1/v1", prices="openai"),
        "company": Overrides(like="openai", base_url="https://company.openai.azure.com/openai/v1"),
    }
)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
MILLION = Usage(1_000_000, 1_000_000)


def row(**prices):
    return SimpleNamespace(**{"input": None, "output": None, "cache_read": None, **prices})


def listed(provider, *models, prices=None, at=NOW, tier=None):
    price = (prices or Prices()).find(PROVIDERS[provider], models, at, tier)
    return price and price.tiers[0][1].listed


def dollars(provider, *models, **kwargs):
    found = listed(provider, *models, **kwargs)
    return found and (found["input"], found["output"])


# Prices as the vendors' own pages had them when these models were new.
@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("openai", "gpt-4o", ("2.5", "10")),
        ("openai", "gpt-4o-2024-08-06", ("2.5", "10")),
        ("openai", "gpt-4o-20240806", ("2.5", "10")),
        ("openai", "openai/gpt-4o", ("2.5", "10")),
        ("openai", "gpt-4.1-nano-2025-04-14", ("0.1", "0.4")),
        ("anthropic", "claude-sonnet-4-5-20250929", ("3", "15")),
        ("anthropic", "anthropic/claude-sonnet-4-5", ("3", "15")),
        ("gemini", "gemini-2.5-flash", ("0.3", "2.5")),
        ("gemini", "models/gemini-2.5-flash", ("0.3", "2.5")),
        ("groq", "openai/gpt-oss-120b", ("0.15", "0.6")),
        ("openrouter", "anthropic/claude-sonnet-4.5", ("3", "15")),
        ("xai", "grok-4", ("3", "15")),
        ("zhipu", "glm-4.6", ("0.6", "2.2")),
        ("moonshot", "kimi-k2-0905-preview", ("0.6", "2.5")),
        ("mirror", "gpt-4o", ("2.5", "10")),
        ("company", "gpt-4o", ("2.5", "10")),
        ("mine", "gpt-4o", None),
        ("ollama", "gpt-4o", None),
        ("openai", "gpt-99-unheard-of", None),
        ("openai", "ft:gpt-4o-2024-08-06:org::id", ("3.75", "15")),
        ("openai", "", None),
    ],
)
def test_listed(provider, model, expected):
    assert dollars(provider, model) == expected


def test_every_provider_with_a_list_is_found_by_its_own_name():
    without = {name for name in PROVIDERS if Prices()._provider(PROVIDERS[name]) is None}
    assert without == {"mine", "vllm", "ollama"}


def test_the_answers_name_counts_before_the_requests():
    assert dollars("openai", "gpt-4.1-nano-2025-04-14", "gpt-4o") == ("0.1", "0.4")
    assert dollars("openai", "no-such-model", "gpt-4o") == ("2.5", "10")


def test_an_operators_row_comes_first():
    rows = {
        ("openai", "gpt-4o"): row(input=1.0, output=2.0),
        ("mine", "org/llama"): row(input=0.1, output=0.2),
        ("openai", "half"): row(input=1.0),
    }
    prices = Prices(lambda: rows)
    assert listed("openai", "gpt-4o-2024-08-06", prices=prices) == {
        "source": "operator",
        "model": "gpt-4o",
        "input": "1",
        "output": "2",
    }
    assert dollars("mine", "org/llama", prices=prices) == ("0.1", "0.2")
    assert dollars("openai", "gpt-4.1", prices=prices) == ("2", "8")
    assert dollars("mine", "gpt-4o", prices=prices) is None
    assert prices.find(PROVIDERS["openai"], ("half",), NOW).tiers[0][1].cost(MILLION) is None


def test_changed_rows_take_effect():
    rows = {("openai", "gpt-4o"): row(input=1.0, output=1.0)}
    prices = Prices(lambda: rows)
    assert dollars("openai", "gpt-4o", prices=prices) == ("1", "1")
    rows = {("openai", "gpt-4o"): row(input=2.0, output=2.0)}
    assert dollars("openai", "gpt-4o", prices=prices) == ("2", "2")
    rows = {}
    assert dollars("openai", "gpt-4o", prices=prices) == ("2.5", "10")


def test_long_inputs_have_a_tier_of_their_own():
    price = Prices().find(PROVIDERS["anthropic"], ("claude-sonnet-4-5",), NOW)
    kinds = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
    assert {above: tuple(rates.listed[kind] for kind in kinds) for above, rates in price.tiers} == {
        -1: ("3", "15", "0.3", "3.75", "6"),
        200_000: ("6", "22.5", "0.6", "7.5", "12"),
    }


@pytest.mark.parametrize(
    ("hour", "minute", "expected"), [(0, 29, "0.135"), (0, 30, "0.27"), (16, 29, "0.27"), (16, 30, "0.135")]
)
def test_prices_of_the_hour(hour, minute, expected):
    at = datetime(2025, 3, 1, hour, minute, 59, tzinfo=UTC).timestamp()
    prices = Prices()
    assert dollars("deepseek", "deepseek-chat", prices=prices, at=NOW)[0] == "0.27"
    assert dollars("deepseek", "deepseek-chat", prices=prices, at=at)[0] == expected


def test_prices_of_a_service_tier():
    at = datetime(2026, 12, 1, tzinfo=UTC).timestamp()
    assert dollars("openai", "gpt-4o", at=at, tier="priority") == ("4.25", "17")
    assert dollars("openai", "gpt-4o", at=at, tier="default") == ("2.5", "10")
    assert dollars("openai", "gpt-4o", at=at, tier="no such") == ("2.5", "10")
    assert dollars("anthropic", "claude-opus-4-8", tier="fast") == ("10", "50")


def test_a_name_is_searched_once(monkeypatch):
    prices = Prices()
    searches = []
    search = prices._search
    monkeypatch.setattr(prices, "_search", lambda *args: searches.append(args) or search(*args))
    for _ in range(3):
        assert dollars("openai", "gpt-4o", prices=prices)
        assert not dollars("openai", "nobody", prices=prices)
    assert len(searches) == 2


def test_no_number_or_length_of_names_fills_the_memory():
    prices = Prices(lambda rows={}: rows)
    for number in range(_MOST + 10):
        prices.find(PROVIDERS["mine"], (f"m{number}",), NOW)
    assert len(prices._found) <= _MOST
    remembered = len(prices._found)
    assert prices.find(PROVIDERS["openai"], ("gpt-4o", "gpt-4o" * 100_000), NOW) is None
    assert len(prices._found) == remembered


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("gpt-4o", ["gpt-4o"]),
        ("gpt-4o-2024-08-06", ["gpt-4o-2024-08-06", "gpt-4o"]),
        ("claude-sonnet-4@20250514", ["claude-sonnet-4@20250514", "claude-sonnet-4"]),
        ("models/g-latest", ["models/g-latest", "models/g", "g-latest", "g"]),
        ("anthropic.claude-v2-20240101-v1:0", ["anthropic.claude-v2-20240101-v1:0", "anthropic.claude-v2"]),
        ("m-1234", ["m-1234"]),
        ("a/", ["a/"]),
        ("", []),
    ],
)
def test_aliases(model, names):
    assert list(aliases(model)) == names
