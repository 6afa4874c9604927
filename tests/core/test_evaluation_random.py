"""Conditions against a slow, obvious evaluator, and against inputs that are made to take long."""

import random
import time

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from gateway.core.conditions import Condition
from gateway.core.evaluation import Conditions, Context
from tests.core import reference_conditions as reference
from tests.core.test_evaluation import as_reference

WORDS = [
    "", "a", "ab", "A", "é", "e\u0301", "😀", "\0", "true", "false", "null", "True", "1", "1.0", "01", "+1", " 1", "1 ", "-0",
    "1e3", "1000", ".5", "5.", ".", "-", "1_0", "٣", "1e", "nan", "inf", "1e999", "-1e999", "0x1", "9007199254740993", "[1]", "a.b",
    "1" * 400, "1" * 4301,
]  # fmt: skip
NUMBERS = [
    0,
    1,
    -1,
    2,
    10,
    1000,
    9007199254740992,
    9007199254740993,
    1 << 62,
    0.0,
    -0.0,
    1.0,
    0.5,
    5.0,
    1e3,
    1e-5,
    1.5e-7,
    1e300,
]
LARGE = [1 << 63, 1 << 64, -(1 << 70), 10**400]
# Without what the two engines read otherwise: $ before a line's end, classes beyond ASCII.
EXPRESSIONS = [
    "a",
    "^a",
    "b|1",
    "^[0-9]+",
    "[0-9][.]",
    "e",
    "^.$|^..",
    "(a+)+b",
    "😀",
    "^(true|null)",
    r"\.",
    "^",
    "u.l",
]
TEXTS = st.sampled_from(WORDS) | st.text(max_size=4)
SCALARS = (
    st.none()
    | st.booleans()
    | TEXTS
    | st.sampled_from(NUMBERS + LARGE)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda below: (
        st.lists(below, max_size=4) | st.dictionaries(st.sampled_from("abc") | TEXTS, below, max_size=4)
    ),
    max_leaves=25,
)
OPERANDS = st.booleans() | TEXTS | st.sampled_from(NUMBERS)
PARTS = TEXTS.filter(bool) | st.sampled_from(NUMBERS)
VALUES = {
    "equal": OPERANDS,
    "notEqual": OPERANDS,
    "contains": PARTS,
    "notContains": PARTS,
    "startsWith": PARTS,
    "endsWith": PARTS,
    "regex": st.sampled_from(EXPRESSIONS),
    "exists": st.none() | st.booleans(),
    "in": st.lists(OPERANDS, min_size=1, max_size=4),
    "gt": st.sampled_from(NUMBERS),
    "gte": st.sampled_from(NUMBERS),
    "lt": st.sampled_from(NUMBERS),
    "lte": st.sampled_from(NUMBERS),
}
CONTEXTS = st.builds(
    Context,
    team_ids=st.lists(TEXTS.filter(bool), max_size=3).map(tuple),
    agent_id=TEXTS,
    user_id=TEXTS,
    external_agent_id=TEXTS,
    model=TEXTS,
    provider=TEXTS,
)
OF_CONTEXT = ["context." + name for name in as_reference(Context())]
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much]
"""The machine may be busy."""
STEPS = st.sampled_from([".a", ".b", ".c", "[*]", "[0]", "[1]"])


def scalars_in(content):
    """What is worth comparing with: else random values would hardly ever be equal."""
    left, found = [content], []
    while left:
        each = left.pop()
        if isinstance(each, dict):
            found += each
            left += each.values()
        elif isinstance(each, list):
            left += each
        else:
            found.append(each)
    return found


def looks_like(value):
    """Itself, and what is easily taken for it."""
    alike = [value, reference.text(value), reference.as_number(value)]
    return (
        [*alike, int(value)]
        if isinstance(value, bool)
        else [*alike, *({0: [False], 1: [True]}.get(value, []))]
    )


@st.composite
def keys(draw, content):
    """A key that mostly follows the document, and then may leave it."""
    path, here = "", content
    while True:
        reachable = isinstance(here, dict) and [name for name in here if name in ("a", "b", "c")]
        if isinstance(here, list) and here and draw(st.integers(0, 9)):
            index = draw(st.integers(0, len(here) - 1))
            path, here = path + draw(st.sampled_from(["[*]", "[*]", f"[{index}]"])), here[index]
        elif reachable and draw(st.integers(0, 9)):
            name = draw(st.sampled_from(reachable))
            path, here = f"{path}.{name}", here[name]
        else:
            break
    path += draw(st.just("") | STEPS)
    return draw(st.sampled_from(["", "any:"])) + (path.removeprefix(".") or "a")


@st.composite
def conditions(draw, content, context=None, operators=tuple(VALUES)):
    key, operator = draw(keys(content)), draw(st.sampled_from(operators))
    there = scalars_in(content)
    if context is not None and draw(st.integers(0, 7)) == 0:
        key = draw(st.sampled_from(["", "any:"])) + draw(st.sampled_from(OF_CONTEXT))
        there = scalars_in(list(as_reference(context).values()))
    value = draw(VALUES[operator])
    if there and operator not in ("exists", "regex") and draw(st.integers(0, 3)):
        near = draw(st.sampled_from(looks_like(draw(st.sampled_from(there)))))
        value = [near] if operator == "in" else near
    condition = Condition(key=key, operator=operator, value=value)
    if condition.problem():
        condition = Condition(key=key, operator=operator, value=draw(VALUES[operator]))
    assert condition.problem() is None
    return condition


@st.composite
def cases(draw):
    content, context = draw(DOCUMENTS), draw(CONTEXTS)
    return draw(st.lists(conditions(content, context), min_size=1, max_size=4)), content, context


@settings(max_examples=600, deadline=None, suppress_health_check=SLOW)
@given(cases())
def test_all_rules_hold_as_a_slow_evaluator_says(case):
    several, content, context = case
    there = as_reference(context)
    triples = [(each.key, each.operator, each.value) for each in several]
    assert Conditions(several).hold(content, context) is bool(reference.hold(triples, content, there))
    for each, triple in zip(several, triples, strict=True):
        assert Conditions([each]).hold(content, context) is bool(reference.holds(*triple, content, there))


@pytest.mark.parametrize("expected", [True, False])
@pytest.mark.parametrize("operator", VALUES)
def test_random_conditions_come_out_both_ways(operator, expected):
    """A comparison of what is never true would show nothing: both are found soon, and of arguments."""

    def found(case):
        condition, content = case
        return reference.holds(condition.key, operator, condition.value, content, {}) is expected

    find(
        DOCUMENTS.flatmap(
            lambda content: st.tuples(conditions(content, None, (operator,)), st.just(content))
        ),
        found,
        settings=settings(
            max_examples=5000, phases=[Phase.generate], database=None, suppress_health_check=SLOW
        ),
    )


def seconds(conditions, content):
    """The best of three, in time of this process alone."""
    context, times = Context(), []
    for _ in range(3):
        start = time.process_time()
        conditions.hold(content, context)
        times.append(time.process_time() - start)
    return min(times)


random.seed(7)
AS = "a" * 100_000
MIXED = "".join(random.choice("ab") for _ in range(100_000))
HOSTILE = [
    ("(a+)+$", AS + "!"),
    ("^(a+)+$", AS + "!"),
    ("((a*)*)*b", AS),
    ("(a|a)*b", AS),
    ("(a|aa)+$", AS + "!"),
    (r"(\w+\s?)*!", AS),
    ("(.*)*x(.*)*y(.*)*z", AS),
    ("(x+x+)+y", "x" * 100_000),
    ("[ab]*a[ab]{200}c", MIXED),
    ("|".join(f"(a{{{count}}})+b" for count in range(1, 60)), AS),
    ("|".join(f"word{number}" for number in range(1500)), "word" * 25_000),
]


@pytest.mark.parametrize(("pattern", "text"), HOSTILE, ids=[pattern[:20] for pattern, _ in HOSTILE])
def test_an_expression_takes_linear_time(pattern, text):
    condition = Condition(key="v", operator="regex", value=pattern)
    assert condition.problem() is None
    compiled = Conditions([condition])
    few, many = seconds(compiled, {"v": text[-10_000:]}), seconds(compiled, {"v": text})
    assert many < 25 * few or many < 0.05, (few, many)
    assert many < 5


def nested(depth):
    content = "x"
    for _ in range(depth):
        content = [content, "y"]
    return content


@pytest.mark.parametrize(
    ("key", "operator", "value", "content"),
    [
        ("v", "contains", "a" * 5000 + "b", lambda size: {"v": "a" * 100 * size}),
        ("v", "contains", "ab" * 300 + "b", lambda size: {"v": "ab" * 50 * size}),
        ("v", "equal", 7, lambda size: {"v": "7" * 100 * size}),
        ("v", "gt", 7, lambda size: {"v": "0." + "7" * 100 * size}),
        ("v", "gt", 7, lambda size: {"v": " " * 100 * size + "x"}),
        ("v", "gt", 7, lambda size: {"v": "1" + "0" * 100 * size + "e-" + str(100 * size)}),
        ("v", "gt", 7, lambda size: {"v": "1" * 100 * size + "e"}),
        ("v", "notContains", "z", lambda size: {"v": [{"k": ["x", 1, None]}] * size}),
        ("v", "regex", "z", lambda size: {"v": nested(size)}),
        ("v[*].k[*]", "notEqual", "z", lambda size: {"v": [{"k": ["x", 1, None]}] * size}),
        ("[*][*][*]", "in", [str(each) for each in range(5000)], lambda size: [[["1", 2], [3.5]]] * size),
    ],
)
def test_a_large_argument_takes_linear_time(key, operator, value, content):
    compiled = Conditions([Condition(key=key, operator=operator, value=value)])
    few, many = seconds(compiled, content(1000)), seconds(compiled, content(10_000))
    assert many < 25 * few or many < 0.05, (few, many)
    assert many < 5


def test_what_is_nested_deeply_is_searched_all_the_same():
    content = {"v": nested(100_000)}
    assert Conditions([Condition(key="v", operator="contains", value="x")]).hold(content, Context())
    assert not Conditions([Condition(key="v", operator="notContains", value="x")]).hold(content, Context())


def test_a_simple_condition_takes_about_a_microsecond():
    compiled = Conditions([Condition(key="path", operator="contains", value="/etc/")])
    content, context = msgspec.json.decode(b'{"path": "/tmp/x", "mode": "r"}'), Context()
    start = time.process_time()
    for _ in range(20_000):
        compiled.hold(content, context)
    assert (time.process_time() - start) / 20_000 < 5e-6  # of a busy machine; a tenth of that is usual
