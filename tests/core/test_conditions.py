"""What a condition may say, and what is said of one that can't be."""

import re
from datetime import date

import msgspec
import pytest

from gateway.core.conditions import Condition, InvalidKey, Key, parse_key
from gateway.core.paths import EVERY


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
        ("context[0].model", Key(("context", 0, "model"))),
        ("$where", Key(("$where",))),
        ("a.$", Key(("a", "$"))),
        ("a-b:c/d", Key(("a-b:c/d",))),
        ("\U0001f600.\u00e9", Key(("\U0001f600", "\u00e9"))),
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
        ("any:context.teams", r"did you mean 'context.teamIds'\?"),
        ("context.teamIds[*]", r"the context has no 'teamIds\[\*\]'"),
        ("a[1234567890]", "from character 2 on"),
        ("a[\u0663]", "from character 2 on"),
        ("a[*]b", "from character 5 on"),
        ("a[*", "from character 2 on"),
        ("[]", "from character 1 on"),
        ("$.a", r"begins with a \$"),
        ("$[0]", r"begins with a \$"),
        ("a.*", r"all that a list holds are \[\*\]"),
        ("any: a", "white space around a name"),
        ("a .b", "white space around a name"),
        ("a\u200b", "characters that can't be seen"),
        ("a\nb", "characters that can't be seen"),
    ],
)
def test_a_key_that_leads_nowhere_says_where_it_ends(text, said):
    with pytest.raises(InvalidKey, match=said):
        parse_key(text)


@pytest.mark.parametrize(
    ("operator", "right", "wrong"),
    [
        ("equal", ["", "x", 1, 1.5, True], [None, [], {}, float("nan"), 1 << 63, date(2027, 1, 1)]),
        ("notEqual", ["x"], [None, ["x"]]),
        ("contains", ["/etc/", 7], [None, "", True, ["a"]]),
        ("startsWith", ["a"], [""]),
        ("endsWith", ["a"], [""]),
        ("notContains", ["a"], [""]),
        ("regex", [r"^\d+$", "(?i)rm -rf"], [None, "", 7, "(a", "(?=a)", r"(a)\1", "a{9999}", "\ud800"]),
        ("exists", [True, False, None], ["true", 1, 0, []]),
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


@pytest.mark.parametrize(
    ("operator", "value", "said"),
    [
        ("in", ["a", 1, None, []], "in takes texts, numbers, true or false; [2] is none of them"),
        ("in", "abc", "in takes a list of texts, numbers, true or false, and not an empty one"),
        ("exists", "yes", "exists takes true or false; without a value it is true"),
        ("gt", "5", "gt takes a number"),
        ("gt", -(1 << 63), "gt takes no whole number beyond 63 bits"),
        ("contains", "", "contains takes a text that is not empty, or a number"),
        ("regex", "(a", "regex can't be compiled: missing ): (a; the syntax is RE2's, "),
        ("regex", "a" * 20_001, "regex is too large: it is 20,001 characters long, and may be 20,000"),
        (
            "regex",
            "(a{100}){10}" * 20,
            "regex is too large: it comes to 20,0",
        ),
        ("regex", r"\PN{900}", "regex is too large: it "),
        ("regex", r"(\pL{1,100}){1,10}", "regex is too large: it repeats too much; repeat less often, "),
        ("regex", "((a{100}){100}){100}", "regex can't be compiled: invalid repetition size: "),
    ],
)
def test_a_value_that_can_not_be_says_why(operator, value, said):
    field, why = Condition(key="a", operator=operator, value=value).problem()
    assert field == "value"
    assert why.startswith(said)


def test_what_is_asked_to_exist_needs_no_value():
    assert msgspec.json.decode(b'{"key": "a", "operator": "exists"}', type=Condition).problem() is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"key": "a", "operator": "equals", "value": 1}', "Invalid enum value 'equals' - at `$.operator`"),
        (b'{"key": 1, "operator": "equal", "value": 1}', "Expected `str`, got `int` - at `$.key`"),
        (b'{"key": "a", "operator": "equal", "values": [1]}', "unknown field `values`"),
        (b'{"operator": "equal"}', "missing required field `key`"),
    ],
)
def test_what_is_no_condition_says_where(body, said):
    with pytest.raises(msgspec.ValidationError, match=re.escape(said)):
        msgspec.json.decode(body, type=Condition)
