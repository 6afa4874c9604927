"""Money: list prices are read exactly, every kind of token has its rate, and a sum is rounded once."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.price import Price, Rates, dollars
from gateway.core.view import Usage

# Hand-picked: every kind has a price of its own.
LISTED = {
    "input": 3,
    "output": 15,
    "cache_read": 0.3,
    "cache_write": 3.75,
    "cache_write_1h": 6,
    "reasoning": 20,
    "input_audio": 32,
    "cache_read_audio": 0.4,
    "output_audio": 64,
    "output_image": 30,
    "web_search": 10,
    "request": 5,
}
RATES = Rates.of("list", "m", LISTED)
PLAIN = Rates.of("list", "m", {"input": 3, "output": 15})
REQUEST = 5_000_000
"""Nano-dollars of one request at five dollars a thousand."""


@pytest.mark.parametrize(
    ("usage", "nano"),
    [
        (Usage(1), 3_000),
        (Usage(output_tokens=1), 15_000),
        (Usage(cache_read_tokens=1), 300),
        (Usage(cache_write_tokens=1), 3_750),
        (Usage(cache_write_tokens=3, cache_write_1h_tokens=1), 2 * 3_750 + 6_000),
        (Usage(output_tokens=3, reasoning_tokens=2), 15_000 + 2 * 20_000),
        (Usage(3, input_audio_tokens=1), 2 * 3_000 + 32_000),
        (Usage(cache_read_tokens=3, cache_read_audio_tokens=1), 2 * 300 + 400),
        (Usage(output_tokens=4, output_audio_tokens=1, output_image_tokens=2), 15_000 + 64_000 + 2 * 30_000),
        (Usage(web_searches=2), 20_000_000),
        (Usage(0, 0, 0, 0, 0, 0), 0),
        (Usage(), 0),
    ],
)
def test_every_kind_has_its_rate(usage, nano):
    assert RATES.cost(usage) == nano + REQUEST


@pytest.mark.parametrize(("tokens", "nano"), [(2**48, 2**48), (2**48 + 1, None), (10**30, None)])
def test_an_amount_that_can_not_be_is_not_known(tokens, nano):
    a_nano = Rates.of("list", "m", {"input": 0.001, "cache_read": 0})
    assert a_nano.cost(Usage(tokens)) == nano
    assert a_nano.saved_by_cache(Usage(cache_read_tokens=tokens)) == nano


def test_a_kind_that_is_not_listed_costs_what_its_kind_does_in_general():
    assert PLAIN.cost(Usage(1, 2, 4, 8, 4, 1, 1, 2, 1, 1)) == 13 * 3_000 + 2 * 15_000
    assert PLAIN.cost(Usage(web_searches=9)) == 0
    hour = Rates.of("list", "m", {"input": 3, "cache_write": 4})
    assert hour.cost(Usage(cache_write_tokens=2, cache_write_1h_tokens=1)) == 8_000


def test_without_a_rate_the_cost_is_not_known():
    only_input = Rates.of("list", "m", {"input": 3})
    assert only_input.cost(Usage(2, 0)) == 6_000
    assert only_input.cost(Usage(2, 1)) is None
    assert Rates.of("list", "m", {"input": None, "output": 1}).cost(Usage(1)) is None


def test_a_price_of_zero_is_a_price():
    assert Rates.of("operator", "m", {"input": 0, "output": 0.0}).cost(Usage(100, 100)) == 0


@pytest.mark.parametrize(
    "usage",
    [
        Usage(3, input_audio_tokens=9),
        Usage(cache_read_tokens=3, cache_read_audio_tokens=9),
        Usage(cache_write_tokens=3, cache_write_1h_tokens=9),
        Usage(output_tokens=3, reasoning_tokens=9, output_audio_tokens=9, output_image_tokens=9),
    ],
)
def test_a_part_is_never_more_than_the_whole(usage):
    assert 3 * 300 <= RATES.cost(usage) - REQUEST <= 3 * 64_000


COUNTS = st.integers(0, 10_000_000)
PRICES = st.decimals(0, 1000, places=6)


@given(COUNTS, COUNTS, COUNTS, PRICES, PRICES, PRICES)
def test_sums_are_exact(fresh, output, read, of_input, of_output, of_read):
    rates = Rates.of("list", "m", {"input": of_input, "output": of_output, "cache_read": of_read})
    exact = (fresh * Fraction(of_input) + output * Fraction(of_output) + read * Fraction(of_read)) * 1000
    assert rates.cost(Usage(fresh, output, read)) == round(exact)


@pytest.mark.parametrize(("price", "nano"), [("0.0005", 0), ("0.0015", 2), ("0.0025", 2), ("0.00250001", 3)])
def test_halves_are_rounded_to_even(price, nano):
    assert Rates.of("list", "m", {"input": Decimal(price)}).cost(Usage(1)) == nano


def test_what_the_cache_saves():
    assert RATES.saved_by_cache(Usage(1, 1, 1000)) == 2_700_000
    assert RATES.saved_by_cache(Usage(1, 1, 0)) == 0
    assert RATES.saved_by_cache(Usage(1, 1)) is None
    assert PLAIN.saved_by_cache(Usage(1, 1, 1000)) == 0
    assert Rates.of("list", "m", {"output": 1}).saved_by_cache(Usage(1, 1, 1)) is None


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (Usage(200_000), 0),
        (Usage(200_001), 1),
        (Usage(1, 0, 200_000), 1),
        (Usage(1, 0, 100_000, 100_000), 1),
        (Usage(1, 500_000), 0),
        (Usage(2_000_000), 2),
        (Usage(), 0),
    ],
)
def test_the_whole_input_decides_on_the_tier(usage, expected):
    tiers = tuple((above, Rates(input=above)) for above in (-1, 200_000, 1_000_000))
    assert Price(tiers).rates(usage) is tiers[expected][1]


def test_the_interaction_can_keep_what_was_listed():
    assert Rates.of("operator", "mine", {"input": 0.3, "output": 12.0, "cache_read": None}).listed == {
        "source": "operator",
        "model": "mine",
        "input": "0.3",
        "output": "12",
    }


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (None, None),
        (0, "0"),
        (1, "0.000000001"),
        (123_400, "0.0001234"),
        (10_000_000_000, "10"),
        (-5, "-0.000000005"),
    ],
)
def test_amounts_are_decimals_of_dollars(nano, text):
    assert dollars(nano) == text
