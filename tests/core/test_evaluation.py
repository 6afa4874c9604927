"""What conditions hold of: every rule by examples, one a row."""

import msgspec
import pytest

from gateway.core.conditions import Condition
from gateway.core.evaluation import Conditions, Context
from tests.core import reference_conditions as reference

PATH = '{"path": "/etc/passwd", "n": 5, "list": [1, 2], "object": {"a": 1}, "null": null, "yes": true}'
USERS = '{"users": [{"name": "ann", "age": 41}, {"name": "bob", "age": 7}, {"age": 9}, "eve", null]}'
NESTED = '{"a": [{"b": [{"c": 1}, {"c": 2}]}, {"b": []}, {"b": [{"c": 3}, {"d": 4}]}, {"e": 5}]}'
MAILS = '[{"from": "ann@home", "to": ["bob@work", "eve@evil"]}, {"from": "bob@work"}]'
DEEP = '{"q": {"in": [{"file": "/etc/passwd"}, [["x", 7.50], {"y/z": [true, null]}]], "": ""}}'

BASICS = [
    ("path", "equal", "/etc/passwd", PATH, True),
    ("path", "equal", "/etc/PASSWD", PATH, False),
    ("path", "equal", "/etc", PATH, False),
    ("path", "equal", "", '{"path": ""}', True),
    ("path", "equal", "", PATH, False),
    ("path", "notEqual", "/tmp", PATH, True),
    ("path", "notEqual", "/etc/passwd", PATH, False),
    ("path", "contains", "/etc/", PATH, True),
    ("path", "contains", "/ETC/", PATH, False),
    ("path", "contains", "/etc/passwd", PATH, True),
    ("path", "contains", "/etc/passwd ", PATH, False),
    ("path", "notContains", "/etc/", PATH, False),
    ("path", "notContains", "/tmp/", PATH, True),
    ("path", "startsWith", "/etc", PATH, True),
    ("path", "startsWith", "etc", PATH, False),
    ("path", "endsWith", "wd", PATH, True),
    ("path", "endsWith", "passw", PATH, False),
    ("path", "regex", r"^/(etc|root)/", PATH, True),
    ("path", "regex", r"pass", PATH, True),
    ("path", "regex", r"^pass", PATH, False),
    ("path", "regex", r"PASS", PATH, False),
    ("path", "regex", r"(?i)PASS", PATH, True),
    ("path", "regex", r"^b$", '{"path": "a\\nb"}', False),
    ("path", "regex", r"(?m)^b$", '{"path": "a\\nb"}', True),
    ("path", "regex", r"a.b", '{"path": "a\\nb"}', False),
    ("path", "in", ["/tmp", "/etc/passwd"], PATH, True),
    ("path", "in", ["/tmp", "/etc"], PATH, False),
    ("path", "exists", True, PATH, True),
    ("path", "exists", None, PATH, True),
    ("path", "exists", False, PATH, False),
    ("n", "gt", 4, PATH, True),
    ("n", "gt", 5, PATH, False),
    ("n", "gte", 5, PATH, True),
    ("n", "gte", 5.000001, PATH, False),
    ("n", "lt", 5.5, PATH, True),
    ("n", "lt", 5, PATH, False),
    ("n", "lte", 5, PATH, True),
    ("n", "lte", -5, PATH, False),
]
MISSING = [
    *(("gone", operator, value, PATH, False) for operator, value in [
        ("equal", "x"), ("notEqual", "x"), ("contains", "x"), ("notContains", "x"), ("startsWith", "x"),
        ("endsWith", "x"), ("regex", ".*"), ("in", ["x"]), ("gt", 0), ("gte", 0), ("lt", 0), ("lte", 0),
        ("exists", True), ("exists", None),
    ]),
    ("gone", "exists", False, PATH, True),
    ("any:gone", "notEqual", "x", PATH, False),
    ("any:gone", "exists", False, PATH, True),
    ("path.a", "exists", True, PATH, False),
    ("n.a", "notEqual", 1, PATH, False),
    ("null.a", "exists", True, PATH, False),
    ("list.a", "exists", True, PATH, False),
    ("list.0", "exists", True, PATH, False),
    ("object[0]", "exists", True, PATH, False),
    ("object[*]", "exists", True, PATH, False),
    ("path[0]", "exists", True, PATH, False),
    ("path[*]", "contains", "e", PATH, False),
    ("list[0]", "equal", 1, PATH, True),
    ("list[1]", "equal", 2, PATH, True),
    ("list[2]", "exists", True, PATH, False),
    ("list[2]", "notEqual", 1, PATH, False),
    ("list[999999999]", "exists", False, PATH, True),
    ("object.a", "equal", 1, PATH, True),
    ("object.b", "notEqual", 1, PATH, False),
    ("object.0", "equal", "zero", '{"object": {"0": "zero"}}', True),
    ("a.b", "exists", True, '{"a.b": 1}', False),
    ("a", "exists", True, "[]", False),
    ("a", "exists", True, '"a"', False),
    ("a", "exists", False, "null", True),
    ("[0]", "equal", 1, "[1]", True),
    ("[0][1]", "equal", 2, "[[1, 2]]", True),
    ("[0].a[1].b", "equal", "x", '[{"a": [0, {"b": "x"}]}]', True),
]  # fmt: skip
NUMBERS = [
    ("v", "equal", 1, '{"v": 1}', True),
    ("v", "equal", 1, '{"v": 1.0}', True),
    ("v", "equal", 1.0, '{"v": 1}', True),
    ("v", "equal", 1, '{"v": "1"}', True),
    ("v", "equal", 1, '{"v": "1.0"}', True),
    ("v", "equal", "1", '{"v": 1}', True),
    ("v", "equal", "1", '{"v": 1.0}', True),
    ("v", "equal", "1.0", '{"v": 1}', True),
    ("v", "equal", "1.0", '{"v": "1"}', False),
    ("v", "notEqual", "1.0", '{"v": "1"}', True),
    ("v", "notEqual", 1, '{"v": "1"}', False),
    ("v", "equal", 1, '{"v": "01"}', True),
    ("v", "equal", 1, '{"v": "+1"}', True),
    ("v", "equal", 1, '{"v": " 1\\n"}', True),
    ("v", "equal", 1, '{"v": "1_0"}', False),
    ("v", "equal", 1, '{"v": "1a"}', False),
    ("v", "equal", 1, '{"v": "\\u0661"}', False),
    ("v", "equal", 0, '{"v": ""}', False),
    ("v", "equal", 0, '{"v": "."}', False),
    ("v", "equal", 0.5, '{"v": ".5"}', True),
    ("v", "equal", 5, '{"v": "5."}', True),
    ("v", "equal", 1000, '{"v": 1e3}', True),
    ("v", "equal", "1e3", '{"v": 1000}', True),
    ("v", "equal", "1000", '{"v": 1e3}', True),
    ("v", "equal", 1000, '{"v": "1E+3"}', True),
    ("v", "equal", 0, '{"v": -0.0}', True),
    ("v", "equal", -0.0, '{"v": "0"}', True),
    ("v", "equal", "-0", '{"v": 0}', True),
    ("v", "equal", 0.1, '{"v": "0.10"}', True),
    ("v", "equal", 0.3, '{"v": 0.30000000000000004}', False),
    ("v", "equal", 9007199254740993, '{"v": 9007199254740993}', True),
    ("v", "equal", 9007199254740992, '{"v": 9007199254740993}', False),
    ("v", "equal", 9007199254740992, '{"v": "9007199254740993"}', False),
    ("v", "equal", "123456789012345678901234567890", '{"v": 123456789012345678901234567890}', True),
    ("v", "equal", "123456789012345678901234567890", '{"v": 123456789012345678901234567891}', False),
    ("v", "gt", 9223372036854775807, '{"v": 9223372036854775808}', True),
    ("v", "gt", 9007199254740992, '{"v": 9007199254740993}', True),
    ("v", "gt", 1e300, '{"v": ' + "9" * 400 + "}", True),
    ("v", "gt", 1e300, '{"v": "' + "9" * 400 + '"}', True),
    ("v", "gt", 1e300, '{"v": "' + "9" * 5000 + '"}', True),
    ("v", "lt", 1, '{"v": "-' + "9" * 5000 + '"}', True),
    ("v", "gt", 1e308, '{"v": "1e999"}', True),
    ("v", "equal", "1e999", '{"v": "1e9999"}', False),
    ("v", "lt", 1e-300, '{"v": "1e-999"}', True),
    ("v", "gt", 0, '{"v": "inf"}', False),
    ("v", "gt", 0, '{"v": "Infinity"}', False),
    ("v", "notEqual", 1, '{"v": "nan"}', True),
    ("v", "gt", 1000, '{"v": "5000"}', True),
    ("v", "gt", 1000, '{"v": " 5e3 "}', True),
    ("v", "gt", 1000, '{"v": "5000 euros"}', False),
    ("v", "lt", 1000, '{"v": "5000 euros"}', False),
    ("v", "gt", 1000, '{"v": "5,000"}', False),
    ("v", "gt", 1000, '{"v": "0x1388"}', False),
    ("v", "lte", -1.5, '{"v": "-1.50"}', True),
    ("v", "gte", 0, '{"v": true}', False),
    ("v", "lt", 9, '{"v": null}', False),
    ("v", "gt", 0, '{"v": [5]}', False),
    ("v", "gt", 0, '{"v": {"v": 5}}', False),
    ("v", "in", [1, "two", True], '{"v": "1.0"}', True),
    ("v", "in", [1, "two", True], '{"v": 2}', False),
    ("v", "in", [1, "two", True], '{"v": "true"}', True),
    ("v", "in", ["1", "2"], '{"v": 2.0}', True),
    ("v", "in", ["1", "2"], '{"v": "2.0"}', False),
    ("v", "contains", 7, '{"v": 1723}', True),
    ("v", "contains", "7", '{"v": 1723}', True),
    ("v", "contains", ".", '{"v": 5.0}', False),
    ("v", "contains", ".", '{"v": 5.5}', True),
    ("v", "startsWith", "12", '{"v": 123}', True),
    ("v", "startsWith", 12.0, '{"v": "12 monkeys"}', True),
    ("v", "endsWith", "000", '{"v": 1e3}', True),
    ("v", "endsWith", "e-7", '{"v": 0.00000015}', True),
    ("v", "regex", r"^0\.00001$", '{"v": 0.00001}', True),
    ("v", "regex", r"^\d+$", '{"v": 42.0}', True),
    ("v", "regex", r"^1\d{300}$", '{"v": 1e300}', True),
]
BOOLEANS = [
    ("v", "equal", True, '{"v": true}', True),
    ("v", "equal", True, '{"v": "true"}', True),
    ("v", "equal", "true", '{"v": true}', True),
    ("v", "equal", "True", '{"v": true}', False),
    ("v", "equal", True, '{"v": "TRUE"}', False),
    ("v", "equal", True, '{"v": 1}', False),
    ("v", "equal", 1, '{"v": true}', False),
    ("v", "equal", "1", '{"v": true}', False),
    ("v", "equal", True, '{"v": "1"}', False),
    ("v", "equal", False, '{"v": 0}', False),
    ("v", "equal", False, '{"v": null}', False),
    ("v", "equal", False, '{"v": ""}', False),
    ("v", "equal", False, '{"v": false}', True),
    ("v", "notEqual", True, '{"v": false}', True),
    ("v", "in", [0, 1], '{"v": true}', False),
    ("v", "in", [True], '{"v": 1}', False),
    ("v", "startsWith", "t", '{"v": true}', True),
    ("v", "regex", "^(true|false)$", '{"v": false}', True),
    ("v", "equal", "null", '{"v": null}', True),
    ("v", "equal", "", '{"v": null}', False),
    ("v", "notEqual", "x", '{"v": null}', True),
    ("v", "in", ["null"], '{"v": null}', True),
    ("v", "exists", True, '{"v": null}', True),
    ("v", "exists", False, '{"v": null}', False),
    ("v", "contains", "ul", '{"v": null}', True),
    ("v", "contains", "x", '{"v": null}', False),
    ("v", "notContains", "x", '{"v": null}', True),
    ("v", "exists", True, '{"v": ""}', True),
    ("v", "exists", True, '{"v": false}', True),
    ("v", "exists", True, '{"v": 0}', True),
]
SHAPES = [
    ("v", "exists", True, '{"v": []}', True),
    ("v", "exists", True, '{"v": {}}', True),
    ("v", "equal", "", '{"v": []}', False),
    ("v", "equal", "[]", '{"v": []}', False),
    ("v", "notEqual", "[]", '{"v": []}', True),
    ("v", "equal", 1, '{"v": [1]}', False),
    ("v", "notEqual", 1, '{"v": [1]}', True),
    ("v", "in", [1, 2], '{"v": [1]}', False),
    ("v", "startsWith", "a", '{"v": ["a"]}', False),
    ("v", "endsWith", "a", '{"v": {"a": "a"}}', False),
    ("v", "contains", "a", '{"v": []}', False),
    ("v", "contains", "a", '{"v": {}}', False),
    ("v", "notContains", "a", '{"v": []}', True),
    ("v", "regex", ".*", '{"v": []}', False),
    ("v", "regex", "^$", '{"v": [""]}', True),
    ("v", "contains", "/etc/", '{"v": ["/tmp", "/etc/x"]}', True),
    ("v", "notContains", "/etc/", '{"v": ["/tmp", "/etc/x"]}', False),
    ("v", "contains", "ab", '{"v": ["a", "b"]}', False),
    ("v", "contains", ",", '{"v": [1, 2]}', False),
    ("q", "contains", "/etc/", DEEP, True),
    ("q", "notContains", "/etc/", DEEP, False),
    ("q", "contains", "y/z", DEEP, True),
    ("q", "contains", "file", DEEP, True),
    ("q", "contains", 7.5, DEEP, True),
    ("q", "contains", "7.50", DEEP, False),
    ("q", "regex", "^tru", DEEP, True),
    ("q", "regex", "^null$", DEEP, True),
    ("q", "regex", "^$", DEEP, True),
    ("q", "regex", "^etc", DEEP, False),
    ("q", "notContains", "nothing like it", DEEP, True),
    ("q.in[1][0][1]", "equal", 7.5, DEEP, True),
]
WILDCARDS = [
    ("users[*].name", "regex", "^[a-z]+$", USERS, True),
    ("users[*].name", "equal", "ann", USERS, False),
    ("any:users[*].name", "equal", "ann", USERS, True),
    ("any:users[*].name", "equal", "eve", USERS, False),
    ("users[*].name", "notEqual", "eve", USERS, True),
    ("users[*].name", "notEqual", "ann", USERS, False),
    ("any:users[*].name", "notEqual", "ann", USERS, True),
    ("users[*].name", "notContains", "o", USERS, False),
    ("any:users[*].name", "notContains", "o", USERS, True),
    ("users[*].age", "gt", 6, USERS, True),
    ("users[*].age", "gt", 7, USERS, False),
    ("any:users[*].age", "gt", 40, USERS, True),
    ("users[*].name", "in", ["ann", "bob", "cleo"], USERS, True),
    ("users[*].mail", "exists", True, USERS, False),
    ("users[*].mail", "exists", False, USERS, True),
    ("users[*].mail", "notEqual", "x", USERS, False),
    ("users[*].name", "exists", True, USERS, True),
    ("users[*].name", "exists", False, USERS, False),
    ("any:users[*].name", "exists", True, USERS, True),
    ("users[*]", "exists", True, USERS, True),
    ("users[*]", "contains", "e", USERS, False),
    ("any:users[*]", "equal", "eve", USERS, True),
    ("any:users[*]", "equal", "null", USERS, True),
    ("users[3]", "equal", "eve", USERS, True),
    ("users[1].name", "equal", "bob", USERS, True),
    ("[*].from", "contains", "@", MAILS, True),
    ("[*].from", "endsWith", "@home", MAILS, False),
    ("any:[*].from", "endsWith", "@home", MAILS, True),
    ("[*].to", "contains", "evil", MAILS, True),
    ("[*].to[*]", "contains", "@", MAILS, True),
    ("[*].to[*]", "endsWith", "@work", MAILS, False),
    ("any:[*].to[*]", "endsWith", "@evil", MAILS, True),
    ("[*].to[0]", "equal", "bob@work", MAILS, True),
    ("[*]", "contains", "@work", MAILS, True),
    ("[*]", "contains", "ann", MAILS, False),
    ("[*].gone", "exists", False, MAILS, True),
    ("a[*].b[*].c", "lte", 3, NESTED, True),
    ("a[*].b[*].c", "lt", 3, NESTED, False),
    ("any:a[*].b[*].c", "equal", 3, NESTED, True),
    ("a[*].b[*].d", "equal", 4, NESTED, True),
    ("a[*].b[1].c", "equal", 2, NESTED, True),
    ("a[*].b", "exists", True, NESTED, True),
    ("a[0].b[*].c", "in", [1, 2], NESTED, True),
    ("a[1].b[*].c", "exists", False, NESTED, True),
    ("a[1].b[*]", "notEqual", 1, NESTED, False),
    ("[*]", "exists", True, "[]", False),
    ("[*]", "equal", 1, '[1, 1.0, "1"]', True),
    ("[*]", "equal", 1, "[1, true]", False),
    ("[*][*]", "lt", 5, "[[1, 2], [], [3], 9]", True),
    ("[*][*]", "lt", 3, "[[1, 2], [], [3], 9]", False),
    ("[*][*][*]", "exists", True, "[[1, 2], [], [3], 9]", False),
    ("any:a.b", "equal", 1, '{"a": {"b": 1}}', True),
]  # fmt: skip
UNICODE = [
    ("v", "equal", "é", '{"v": "\\u00e9"}', True),
    ("v", "equal", "é", '{"v": "e\\u0301"}', False),
    ("v", "contains", "e", '{"v": "e\\u0301"}', True),
    ("v", "contains", "e", '{"v": "\\u00e9"}', False),
    ("v", "equal", "😀", '{"v": "\\ud83d\\ude00"}', True),
    ("v", "startsWith", "😀", '{"v": "😀😀"}', True),
    ("v", "contains", "\ude00", '{"v": "😀"}', False),
    ("v", "regex", "^.$", '{"v": "😀"}', True),
    ("v", "regex", "^..$", '{"v": "e\\u0301"}', True),
    ("v", "regex", r"^\p{Greek}+$", '{"v": "λόγος"}', True),
    ("v", "regex", r"^\w+$", '{"v": "λόγος"}', False),
    ("v", "regex", r"(?i)ΛΌΓΟΣ", '{"v": "λόγοσ"}', True),
    ("v", "regex", "\U0001d518", '{"v": "x\U0001d518y"}', True),
    ("v", "equal", "STRASSE", '{"v": "straße"}', False),
    ("v", "endsWith", "\u200d", '{"v": "a\\u200d"}', True),
    ("v", "equal", "a\0b", '{"v": "a\\u0000b"}', True),
    ("v", "contains", "b", '{"v": "a\\u0000b"}', True),
    ("v", "regex", "b$", '{"v": "a\\u0000b"}', True),
    ("größe", "gt", 1, '{"größe": 2}', True),
    ("größe", "exists", True, '{"gro\\u0308\\u00dfe": 2}', False),
    ("😀.日本", "equal", "ok", '{"😀": {"日本": "ok"}}', True),
    ("file path", "equal", "x", '{"file path": "x"}', True),
    ("Path", "exists", True, '{"path": 1}', False),
]
TABLE = [*BASICS, *MISSING, *NUMBERS, *BOOLEANS, *SHAPES, *WILDCARDS, *UNICODE]

SOMEONE = Context(
    team_ids=("red", "blue-1"), agent_id="a7", user_id="u1", external_agent_id="", model="gpt-9", provider="p"
)
NOBODY = Context()
OF_CONTEXT = [
    ("context.teamIds", "equal", "red", SOMEONE, True),
    ("context.teamIds", "equal", "green", SOMEONE, False),
    ("context.teamIds", "notEqual", "green", SOMEONE, True),
    ("context.teamIds", "notEqual", "red", SOMEONE, False),
    ("any:context.teamIds", "notEqual", "red", SOMEONE, True),
    ("any:context.teamIds", "equal", "red", SOMEONE, True),
    ("context.teamIds", "contains", "blue", SOMEONE, True),
    ("context.teamIds", "notContains", "blue", SOMEONE, False),
    ("context.teamIds", "notContains", "green", SOMEONE, True),
    ("context.teamIds", "startsWith", "re", SOMEONE, True),
    ("context.teamIds", "endsWith", "-1", SOMEONE, True),
    ("context.teamIds", "regex", "^blue-[0-9]$", SOMEONE, True),
    ("context.teamIds", "in", ["green", "red"], SOMEONE, True),
    ("context.teamIds", "exists", True, SOMEONE, True),
    ("context.teamIds", "exists", True, NOBODY, False),
    ("context.teamIds", "exists", False, NOBODY, True),
    ("context.teamIds", "notEqual", "red", NOBODY, False),
    ("context.teamIds", "equal", 7, Context(team_ids=("7",)), True),
    ("context.teamIds", "gt", 6, Context(team_ids=("7", "1")), True),
    ("context.agentId", "equal", "a7", SOMEONE, True),
    ("context.agentId", "notEqual", "a7", SOMEONE, False),
    ("context.userId", "in", ["u1", "u2"], SOMEONE, True),
    ("context.userId", "exists", False, NOBODY, True),
    ("context.externalAgentId", "exists", True, SOMEONE, False),
    ("context.externalAgentId", "notContains", "x", SOMEONE, False),
    ("context.externalAgentId", "equal", "x", Context(external_agent_id="x"), True),
    ("context.model", "startsWith", "gpt-", SOMEONE, True),
    ("any:context.model", "regex", "^gpt-[0-8]", SOMEONE, False),
    ("context.provider", "equal", "p", SOMEONE, True),
    ("context.provider", "notEqual", "q", NOBODY, False),
]


def hold(key, operator, value, content=None, context=NOBODY):
    condition = Condition(key=key, operator=operator, value=value)
    assert condition.problem() is None
    return Conditions([condition]).hold(content, context)


def as_reference(context):
    return {
        "teamIds": list(context.team_ids),
        "agentId": context.agent_id,
        "userId": context.user_id,
        "externalAgentId": context.external_agent_id,
        "model": context.model,
        "provider": context.provider,
    }


@pytest.mark.parametrize(("key", "operator", "value", "document", "expected"), TABLE)
def test_what_holds_of_a_document(key, operator, value, document, expected):
    content = msgspec.json.decode(document)
    assert hold(key, operator, value, content) is expected
    # What the others are compared with must say the same; only its regular expressions are another engine's.
    if operator != "regex":
        assert reference.holds(key, operator, value, content, {}) is expected


@pytest.mark.parametrize(("key", "operator", "value", "context", "expected"), OF_CONTEXT)
def test_what_holds_of_the_context(key, operator, value, context, expected):
    assert hold(key, operator, value, {"context": {"model": "x"}}, context) is expected
    assert bool(reference.holds(key, operator, value, None, as_reference(context))) is expected


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], True),
        ([("n", "gt", 4)], True),
        ([("n", "gt", 4), ("path", "contains", "/etc/")], True),
        ([("n", "gt", 4), ("path", "contains", "/tmp/")], False),
        ([("n", "gt", 6), ("path", "contains", "/etc/")], False),
        ([("n", "gt", 4), ("context.model", "equal", "gpt-9")], True),
        ([("n", "gt", 4), ("context.model", "equal", "gpt-8")], False),
        ([("n", "gt", 4), ("gone", "exists", False), ("list[*]", "lt", 3)], True),
    ],
)
def test_all_of_several_must_hold(conditions, expected):
    several = [Condition(key=key, operator=operator, value=value) for key, operator, value in conditions]
    assert Conditions(several).hold(msgspec.json.decode(PATH), SOMEONE) is expected


@pytest.mark.parametrize(
    ("keys", "content", "context"),
    [
        ([], False, False),
        (["a"], True, False),
        (["context.model"], False, True),
        (["any:context.teamIds"], False, True),
        (["context.model", "contexts", "context"], True, True),
    ],
)
def test_what_is_read_is_known_beforehand(keys, content, context):
    conditions = Conditions([Condition(key=key, operator="exists") for key in keys])
    assert (conditions.reads_content, conditions.reads_context) == (content, context)


def test_half_of_a_surrogate_pair_does_no_harm():
    assert hold("v", "regex", "^a.b$", {"v": "a\ud800b"})
    assert hold("v", "contains", "\ud800", {"v": "a\ud800b"})


def test_the_table_is_large_and_has_no_row_twice():
    assert len(TABLE) + len(OF_CONTEXT) >= 250
    assert len({repr(row) for row in TABLE}) == len(TABLE)
