"""Arguments that can be judged are the same object to every parser; all others are no arguments to the gate."""

import json  # noqa: TID251  # another parser than the gateway's

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.arguments import Unjudgeable, read_arguments
from tests.fuzz import judge
from tests.fuzz.documents import Raw, mutate, render, tree
from tests.fuzz.profiles import TIMEOUT, examples
from tests.fuzz.source import Source
from tests.fuzz.strict_json import NotStrict, read_object

pytestmark = pytest.mark.timeout(TIMEOUT)

_SCALARS = (
    "",
    "a",
    "\u00e9\u2028\U0001f600",
    0,
    -1,
    1.5,
    True,
    None,
    1 << 63,
    1 << 64,
    1 << 70,
    -(1 << 70),
    Raw("1E5"),
    Raw("-0"),
    Raw("-0.0"),
    Raw("1.0"),
    Raw("0.1e-400"),
    Raw("1e400"),
    Raw("01"),
    Raw("+1"),
    Raw(".5"),
    Raw("1."),
    Raw("0x1"),
    Raw("NaN"),
    Raw("-Infinity"),
    Raw("nul"),
    Raw("'a'"),
    Raw('"\\ud83d\\ude00"'),
    Raw('"\\ud83d"'),
    Raw('"\\ude00\\ud83d"'),
    Raw('"\\x41"'),
    Raw('"\t"'),
    Raw('"\x7f"'),
    Raw('"\\u00"'),
    Raw('"\\/"'),
    Raw('"\ud800"'),
    Raw("\ufeff1"),
    Raw("1 2"),
    Raw("[1,]"),
    Raw("{,}"),
    Raw("/* c */ 1"),
    Raw("9" * 400),
    Raw("12345678901234567890.5"),
)
_KEYS = ("a", "b", "a", "", "path", "\u00e9", "A")


def _value(source, depth):
    way = source.below(5)
    if way < 3 or depth > 3:
        return source.pick(_SCALARS)
    if way == 3:
        return {source.pick(_KEYS): _value(source, depth + 1) for _ in range(source.below(4))}
    return [_value(source, depth + 1) for _ in range(source.below(4))]


@st.composite
def texts(draw):
    source = Source(draw)
    document = tree({source.pick(_KEYS): _value(source, 1) for _ in range(1 + source.below(4))})
    extras = [("a", 1), ("A", 2), ("path", "x"), ("b", tree({"a": 1}))]
    for _ in range(source.below(3)):
        mutate(source, [document], extras, {})
    text = render(document, loose=source.chance(30))
    if source.chance(15):
        at = source.below(len(text) + 1)
        text = (
            text[:at]
            + source.pick(("", " ", "\n", "\x00", "\ufeff", "\u00a0", ",", "}", '"', "\\"))
            + text[at:]
        )
    if source.chance(10):
        text = text[: source.below(len(text) + 1)]
    if source.chance(5):
        depth = source.pick((61, 62, 63, 64, 65, 500))
        text = '{"a":' + "[" * depth + text + "]" * depth + "}"
    return text


def _exact(value):
    """Return a form in which 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return {key: _exact(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_exact(child) for child in value]
    return (type(value).__name__, value)


@examples(3)
@given(texts() | st.text(max_size=12))
@example("{}")
@example("")
@example(" {} ")
@example('{"a":1}{"a":2}')
@example('{"\\u0061":1,"a":2}')
def test_arguments_are_read_by_all_alike_or_not_at_all(text):
    try:
        expected = read_object(text)
    except NotStrict:
        expected = None
    try:
        found = read_arguments(text)
    except Unjudgeable:
        found = None
    assert (found is None) == (expected is None), (found, expected)
    if found is None:
        return
    for other in (expected, json.loads(text), *judge.objects(text)):
        assert _exact(other) == _exact(found)
