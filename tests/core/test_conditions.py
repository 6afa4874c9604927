"""What a condition may say, and what is said of one that can't be."""

from datetime import date

import pytest

from gateway.core.conditions import EVERY, Condition, InvalidKey, Key, parse_key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("a", Key(("a",))),
        ("file path", Key(("file path",))),
        ("a.b", Key(("a", "b"))),
        ("a[0]", Key(("a", 0))),
        ("a[*].b[*].c", Key(("a", EVERY, "b", EVERY, "c"))),
        ("[*].a", Key((EVERY, "a"))),
        ("[*]", Key((EVERY,))),
        ("[2][*]", Key((2, EVERY))),
        ("a[*]", Key(("a", EVERY))),
        ("any:a[*].b", Key(("a", EVERY, "b"), any=True)),
        ("context.teamIds", Key(("teamIds",), context=True)),
        ("any:context.teamIds", Key(("teamIds",), any=True, context=True)),
        ("contexts.a", Key(("contexts", "a"))),
        ("context", Key(("context",))),
    ],
)
def test_a_key_is_a_path(text, key):
    assert parse_key(text) == key


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is no path from character 1 on"),
        ("any:", "'any:' is no path from character 5 on"),
        (".a", "from character 1 on"),
        ("a..b", "from character 2 on"),
        ("a.", "from character 2 on"),
        ("a.[0]", "from character 2 on"),
        ("a[0]b", "from character 5 on"),
        ("a[", "from character 2 on"),
        ("a[-1]", "from character 2 on"),
        ("a[x]", "from character 2 on"),
        ("any:a]", "from character 6 on"),
        ("context.", "the context has no '', but teamIds, "),
        ("context.agentID", r"did you mean 'context.agentId'\?"),
        ("context.model.x", "the context has no 'model.x'"),
    ],
)
def test_a_key_that_leads_nowhere_says_where_it_ends(text, said):
    with pytest.raises(InvalidKey, match=said):
        parse_key(text)


@pytest.mark.parametrize(
    ("operator", "right", "wrong"),
    [
        ("equal", ["", "x", 1, 1.5, True], [None, [], {}, float("nan"), date(2027, 1, 1)]),
        ("notEqual", ["x"], [None, ["x"]]),
        ("contains", ["/etc/", 7], [None, "", True, ["a"]]),
        ("startsWith", ["a"], [""]),
        ("endsWith", ["a"], [""]),
        ("notContains", ["a"], [""]),
        ("regex", [r"^\d+$", "(?i)rm -rf"], [None, "", 7, "(a", "(?=a)", r"(a)\1", "a{9999}", "\ud800"]),
        ("exists", [True, False], [None, "true", 1]),
        ("in", [["a", 1, True], ("a",)], [None, [], "abc", [None], [["a"]], {"a": 1}]),
        ("gt", [0, -1.5], [None, "5", True, float("inf"), 10**400]),
        ("lte", [0], ["5"]),
    ],
)
def test_an_operator_takes_its_values(operator, right, wrong):
    for value in right:
        assert Condition(key="a", operator=operator, value=value).problem() is None, value
    for value in wrong:
        field, why = Condition(key="a", operator=operator, value=value).problem()
        assert (field, why.startswith(operator)) == ("value", True), value


def test_an_expression_that_can_not_be_compiled_is_told_of_with_its_reason():
    _, why = Condition(key="a", operator="regex", value="x(?=a)").problem()
    assert why == (
        "regex can't be compiled: invalid perl operator: (?=; "
        "the syntax is RE2's, without look-around and back-references"
    )
