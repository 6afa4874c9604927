"""What is remembered of a declared tool, and what makes it another one."""

import msgspec
import pytest

from gateway.core.discovery import LONGEST_DESCRIPTION, LONGEST_SCHEMA, sighting
from gateway.core.view import Tool


def seen(name="a", description="d", schema=b"", *, agent="x", built_in=False, contents=True):
    tool = Tool(name, description, msgspec.Raw(schema), built_in)
    return sighting(tool, agent=agent, client="c" * 300, at=1.0, contents=contents)


def test_what_makes_it_another_tool():
    ids = {
        each.tool
        for each in (
            seen(),
            seen(description="e"),
            seen(schema=b"{}"),
            seen("b"),
            seen(agent="y"),
            seen(built_in=True),
            seen("x", agent="a"),
        )
    }
    assert len(ids) == 5


def test_what_makes_it_another_version():
    first = seen(schema=b'{"a":1,"b":[1,2]}')
    assert seen(schema=b' { "b":[1, 2], "a" :1}').version == first.version
    others = [
        seen(schema=b'{"a":1,"b":[2,1]}'),
        seen(schema=b""),
        seen(description="", schema=b'"d"'),
        seen(description="e"),
    ]
    assert len({each.version for each in (first, *others)}) == 5
    # A schema that says nothing is none, and what is in one can't be moved into the other.
    assert seen(schema=b"null").version == seen().version
    assert seen(description="d1:", schema=b"1").version != seen(description="d", schema=b"1").version


def test_what_is_kept():
    found = seen(schema=b'{"a": 1}', built_in=True)
    assert (found.kind, found.parameters, found.parameters_bytes) == ("built_in", '{"a": 1}', 8)
    assert len(found.client) == 256
    bare = seen(schema=b'{"a": 1}', contents=False)
    assert (bare.description, bare.parameters, bare.parameters_bytes) == ("", None, 8)
    assert bare.version == found.version


def test_what_is_too_long_is_cut_or_left_out():
    long = seen(description="d" * (LONGEST_DESCRIPTION + 7))
    assert long.description == "d" * LONGEST_DESCRIPTION + "[7 characters more]"
    fits = b'"' + b"x" * (LONGEST_SCHEMA - 2) + b'"'
    assert seen(schema=fits).parameters == fits.decode()
    assert seen(schema=fits[:-1] + b'x"').parameters is None


@pytest.mark.parametrize("schema", [b"{", b"1e400", b"[" * 5000 + b"]" * 5000, b'"\xff"', b'"\\ud800"'])
def test_a_schema_that_can_not_be_read_is_left_out(schema):
    found = seen(schema=schema)
    assert (found.parameters, found.parameters_bytes) == (None, len(schema))
    assert found.version != seen().version
