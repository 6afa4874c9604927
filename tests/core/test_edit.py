"""An edit changes what it names; every other value keeps its bytes."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.edit import edit
from gateway.testing.documents import differences

DOCUMENT = b' {"a" : 1.50, "b": [ {"c": "\\u0041", "d": null}, 2 ],\n "e": {"f": [1,\n2]} } '


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({("a",): b'"x"'}, b'{"a":"x","b":[ {"c": "\\u0041", "d": null}, 2 ],"e":{"f": [1,\n2]}}'),
        ({("a",): None}, b'{"b":[ {"c": "\\u0041", "d": null}, 2 ],"e":{"f": [1,\n2]}}'),
        ({("new",): b"1"}, b'{"a":1.50,"b":[ {"c": "\\u0041", "d": null}, 2 ],"e":{"f": [1,\n2]},"new":1}'),
        ({("gone",): None}, b'{"a":1.50,"b":[ {"c": "\\u0041", "d": null}, 2 ],"e":{"f": [1,\n2]}}'),
        (
            {("b", 0, "d"): b"5", ("e", "f", 0): None, ("b", 1): b"[]"},
            b'{"a":1.50,"b":[{"c":"\\u0041","d":5},[]],"e":{"f":[2]}}',
        ),
        ({("b", 0): None, ("b", 1): None}, b'{"a":1.50,"b":[],"e":{"f": [1,\n2]}}'),
        # What lies below a value that is replaced goes with it.
        ({("e",): b"0", ("e", "f"): b"1"}, b'{"a":1.50,"b":[ {"c": "\\u0041", "d": null}, 2 ],"e":0}'),
        (
            {("b", 0): b"0", ("b", 0, "c"): b"1"},
            b'{"a":1.50,"b":[0,2 ],"e":{"f": [1,\n2]}}'.replace(b"2 ]", b"2]"),
        ),
        ({("e",): None, ("e", "f"): b"1"}, b'{"a":1.50,"b":[ {"c": "\\u0041", "d": null}, 2 ]}'),
        ({(): b"7", ("a",): b"8"}, b"7"),
        ({(): None}, b"null"),
    ],
)
def test_edit(changes, result):
    assert edit(DOCUMENT, changes) == result


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (("missing", "x"), KeyError),
        (("b", 2), IndexError),
        (("b", 5, "x"), IndexError),
        (("b", "x"), KeyError),
        ((0,), KeyError),
    ],
)
def test_a_path_that_leads_nowhere(path, error):
    with pytest.raises(error):
        edit(DOCUMENT, {path: b"1"})


leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def paths(value, path=()):
    if path:
        yield path
    if isinstance(value, dict):
        for key, child in value.items():
            yield from paths(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from paths(child, (*path, index))


def replace(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replace(copy[path[0]], path[1:], new)
    return copy


@given(st.dictionaries(st.text(), trees, min_size=1, max_size=5), st.integers(0, 3), st.data())
def test_other_values_keep_their_bytes(tree, indent, data):
    import json  # noqa: TID251  # writes the spellings that our own encoder does not

    raw = json.dumps(tree, indent=indent or None, ensure_ascii=data.draw(st.booleans())).encode()
    path = data.draw(st.sampled_from(list(paths(tree))))
    edited = edit(raw, {path: b'"edited"'})
    assert msgspec.json.decode(edited) == replace(msgspec.json.decode(raw), path, "edited")
    assert [place[: len(path)] for place in differences(raw, edited)] in ([path], [])
