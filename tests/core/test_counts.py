"""What can be a number of tokens."""

import pytest

from gateway.core.counts import count


@pytest.mark.parametrize("value", [0, 1, 2**53 - 1])
def test_counts(value):
    assert count(value) == value


@pytest.mark.parametrize("value", [None, -1, 2**53, 10**30, True, False, 1.0, "1", [1], {}])
def test_others(value):
    assert count(value) is None
