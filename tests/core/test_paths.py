"""Paths as they are written, after a dollar sign or without one."""

import pytest

from gateway.core.paths import EVERY, read_path


@pytest.mark.parametrize(
    ("text", "dotted", "steps", "end"),
    [
        ("a.b", False, ("a", "b"), 3),
        ("a[0][*].b", False, ("a", 0, EVERY, "b"), 9),
        ("[*].a", False, (EVERY, "a"), 5),
        ("0", False, ("0",), 1),
        (".a", False, (), 0),
        (".a.b", True, ("a", "b"), 4),
        ("[1].b", True, (1, "b"), 5),
        ("a", True, (), 0),
        ("a..b", False, ("a",), 1),
        ("a[0]b", False, ("a", 0), 4),
        ("a[-1]", False, ("a",), 1),
        ("", False, (), 0),
    ],
)
def test_a_path_is_read_as_far_as_it_is_one(text, dotted, steps, end):
    assert read_path(text, dotted=dotted) == (steps, end)


def test_a_path_is_read_from_where_it_begins():
    assert read_path("$.a", 1, dotted=True) == (("a",), 3)
