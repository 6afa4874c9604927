"""Values that can be stored are left as they are; others become ones that can."""

import math

import pytest
from sqlalchemy.exc import DBAPIError

from gateway.core.record import Saved
from gateway.storage.mending import mended, mended_struct, reason
from tests.storage.made import record


@pytest.mark.parametrize("value", ["", "text \u00e9", 5, -5, 1.5, None, True, b"\0"])
def test_what_can_be_stored_is_the_same(value):
    assert mended(value) is value


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("a\0b", "a\ufffdb"),
        ("\ud800x", "?x"),
        (10**30, 2**48),
        (-(10**30), -(2**48)),
        (math.inf, 0.0),
        ({"a\0": ["\0", 1]}, {"a\ufffd": ["\ufffd", 1]}),
        (("x", "\0"), ("x", "\ufffd")),
    ],
)
def test_what_can_not_is_made_so(value, stored):
    assert mended(value) == stored


def test_a_record():
    plain = record(agent="a")
    assert mended_struct(plain) == plain
    assert mended_struct(record(agent="\0")).agent == "\ufffd"


def test_a_reason_holds_no_values():
    said = "invalid input for query argument $3: 'the secret prompt,\nall of it' (expected an int)"
    error = DBAPIError("UPDATE x", [("another secret",)], ValueError(said))
    assert reason(error) == "ValueError: invalid input for query argument $3"
    assert reason(OSError("gone")) == "OSError: gone"


def test_values_inside_of_others_are_mended_too():
    found = mended_struct(record(saved=Saved(cache=2**70, toon=1)))
    assert (found.saved.cache, found.saved.toon) == (2**48, 1)
