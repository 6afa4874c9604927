"""What a rule names is not stored, wherever it stands; what can't be read isn't either."""

import time

import pytest

from gateway.core.redaction import Redactor, RuleError, Taken, without_key

CASES = [
    # rules, body, what is stored
    ([], b'{"a":1}', b'{"a":1}'),
    (["$.a"], b'{"a":1,"b":2}', b'{"a":"[redacted]","b":2}'),
    (["$.a"], b'{"b":{"a":1}}', b'{"b":{"a":1}}'),
    (["$.a.b"], b'{"a": {"b": [1, {"c": 2}], "d": 3}}', b'{"a": {"b": "[redacted]", "d": 3}}'),
    (
        ["$.m[*].c"],
        b'{"m":[{"c":1},{"d":2},{"c":null}]}',
        b'{"m":[{"c":"[redacted]"},{"d":2},{"c":"[redacted]"}]}',
    ),
    (["$.m[1]"], b'{"m":[1, 2, 3]}', b'{"m":[1, "[redacted]", 3]}'),
    (["$.m[9]", "$.m.x"], b'{"m":[1]}', b'{"m":[1]}'),
    (["$[*].a"], b'[{"a":1}]', b'[{"a":"[redacted]"}]'),
    (["$.a", "$.a.b"], b'{"a":{"b":1}}', b'{"a":"[redacted]"}'),
    (["$.a"], b'{"a":1', b'"[redacted]"'),
    (["$.a"], b"", b""),
    (["$.a"], b'data: {"a":1}\n\ndata: {"b":1}\n\n', b'data: {"a":"[redacted]"}\n\ndata: {"b":1}\n\n'),
    (["$.a"], b'event: x\r\ndata:{"a":1}\r\n\r\n', b'event: x\r\ndata:{"a":"[redacted]"}\r\n\r\n'),
    (["$.a"], b"data: {cut", b'data: "[redacted]"'),
    # Of equal names none is left out, wherever they are.
    (["$.a"], b'{"a":"s","a":"x"}', b'{"a":"[redacted]","a":"[redacted]"}'),
    (["$.a.b"], b'{"a":{"b":"s"},"a":"x"}', b'{"a":{"b":"[redacted]"},"a":"x"}'),
    (
        ["$.a.b"],
        b'{"a":{"b":1,"b":"s","c":2},"a":{"b":3}}',
        b'{"a":{"b":"[redacted]","b":"[redacted]","c":2},"a":{"b":"[redacted]"}}',
    ),
    (
        ["$.a[*].b"],
        b'{"a":[{"b":1},{"b":2,"b":3}],"a":[{"b":4}]}',
        b'{"a":[{"b":"[redacted]"},{"b":"[redacted]","b":"[redacted]"}],"a":[{"b":"[redacted]"}]}',
    ),
    (["$.a"], b'{"\\u0061":"s","A":1}', b'{"\\u0061":"[redacted]","A":1}'),
    (["$.a", "$.a[0]"], b'{"a":[1],"a":5}', b'{"a":"[redacted]","a":"[redacted]"}'),
    (["$.a[0]"], b'[{"a":', b'"[redacted]"'),
    # Events whose payload comes in several lines, and other line ends.
    (["$.a"], b'data: {"a":\ndata: "s"}\n\n', b'data: {"a":\ndata: "[redacted]"}\n\n'),
    (["$.b"], b'data: {"a":\ndata: "s"}\n\n', b'data: {"a":\ndata: "s"}\n\n'),
    (["$.a"], b'data: {"a":\ndata: "s"\n\n', b'data: "[redacted]"\n\n'),
    (
        ["$.a"],
        b'data: {"a":1}\r\rdata:  {"a":2}\r\r',
        b'data: {"a":"[redacted]"}\r\rdata:  {"a":"[redacted]"}\r\r',
    ),
    (["$.a"], b'\xef\xbb\xbfdata: {"a":1}\n\n', b'\xef\xbb\xbfdata: {"a":"[redacted]"}\n\n'),
    (["$.a"], b'\xef\xbb\xbf{"a":1}', b'"[redacted]"'),
    (["$.a"], b"data: [DONE]\n\n", b"data: [DONE]\n\n"),
    ([r"sk-\w+"], b'{"k":"sk-abc","l":"sk-"}', b'{"k":"[redacted]","l":"sk-"}'),
    ([r"(?i)secret", "$.b"], b'{"a":"SECRET","b":1}', b'{"a":"[redacted]","b":"[redacted]"}'),
    ([r"caf\x{e9}"], "café".encode(), b"[redacted]"),
    ([r"x"], b"\xff\xfex", b"\xff\xfe[redacted]"),
]


@pytest.mark.parametrize(("rules", "body", "stored"), CASES)
def test_bodies(rules, body, stored):
    assert Redactor(rules).body(body) == stored


def test_whether_there_is_anything_to_do():
    assert not Redactor()
    assert Redactor(["$.a"])
    assert Redactor(["a"])


@pytest.mark.parametrize(
    "rule", ["$", "$.", "$a", "$.a[", "$.a[x]", "$.a..b", "$.a[*", "(", "[z-a]", "a{2,1}"]
)
def test_rules_that_mean_nothing(rule):
    with pytest.raises(RuleError, match="is not a"):
        Redactor([rule])


def test_a_hostile_pattern_takes_linear_time():
    redactor = Redactor([r"(a+)+$"])
    start = time.process_time()
    redactor.body(b"a" * 200_000 + b"b")
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("body", "key", "stored"),
    [
        (b"Incorrect key: sk-0123456789abcdef.", "sk-0123456789abcdef", b"Incorrect key: [redacted]."),
        (b"nothing of it", "sk-0123456789abcdef", b"nothing of it"),
        (b"not-needed is a word", "not-needed", b"not-needed is a word"),
        (b"no key", "", b"no key"),
    ],
)
def test_a_key_that_is_repeated(body, key, stored):
    assert without_key(body, key) == stored


def test_what_was_taken_out():
    taken = Taken()
    Redactor(["$.a", "$.b[*]"]).body(b'{"a":{"x":["s",1]},"a":"t","b":["u",null]}', taken)
    assert (taken.texts, taken.known) == ({"s", "t", "u"}, True)
    Redactor(["$.a"]).body(b'{"a":', taken)
    assert not taken.known


def test_texts():
    assert Redactor(["$.a", "[0-9]+"]).text("a1 b22") == "a[redacted] b[redacted]"
    assert Redactor(["$.a"]).text("a1") == "a1"
    assert Redactor(["é"]).text("caf\udce9 é") == "caf? [redacted]"


@pytest.mark.parametrize(
    ("body", "stored"),
    [
        (rb'{"note":"Herr M\u00fcller"}', rb'{"note":"Herr [redacted]"}'),
        (rb'{"M\u00fcller":1,"b":"\n"}', rb'{"[redacted]":1,"b":"\n"}'),
        (rb'data: {"a":"\"M\u00fcller\""}', rb'data: {"a":"\"[redacted]\""}'),
        (rb'{"a":"{\"b\":\"M\\u00fcller\"}"}', rb'{"a":"{\"b\":\"[redacted]\"}"}'),
        (rb'{"a":"\nk-1 \ud83d\ude00"}', '{"a":"\\n[redacted] 😀"}'.encode()),
        (rb'{"a":"\nk-1 \ud83d"}', '{"a":"\\n[redacted] \ufffd"}'.encode()),
        (rb'{"a":"k\/1 M\u00fcll', rb'{"a":"k\/1 M\u00fcll'),
        (rb'{"a":"x \nk-1 torn\"', rb'{"a":"x \n[redacted] torn\"'),
        (b'event: "\ndata: "M\\u00fcller"', b'event: "\ndata: "[redacted]"'),
        (rb'"C:\dir" \k-1', rb'"C:\dir" \[redacted]'),
    ],
)
def test_a_pattern_is_applied_to_what_strings_say(body, stored):
    assert Redactor(["Müller", r"\bk-1\b"]).body(body) == stored


def test_escapes_take_linear_time():
    for body in (b'"' + b'\\"' * 300_000, b'"\\' * 300_000, b"\\" * 600_000, b'"' * 600_000):
        Redactor(["absent"]).body(body)
