"""Verdicts are remembered within a bound."""

from gateway.core.verdicts import Verdicts


def test_a_verdict_is_found_by_all_of_its_key():
    verdicts = Verdicts()
    verdicts.keep((1, "t", "x"), "one", 1)
    assert verdicts.get((1, "t", "x")) == "one"
    assert verdicts.get((2, "t", "x")) is None


def test_so_many_characters_and_so_many_verdicts_are_kept():
    verdicts = Verdicts(most=100, limit=1600)
    for number in range(1000):
        verdicts.keep(number, number, 50)
        assert verdicts.get(number) == number
        assert verdicts._size <= 1600
    for number in range(1000):
        verdicts.keep(number, number, 0)
    assert len(verdicts._known) <= 100
    verdicts.keep("long", 1, 101)
    assert verdicts.get("long") is None
