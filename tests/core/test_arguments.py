"""Arguments are one object that every parser reads alike, or can't be judged."""

import hashlib

import pytest

from gateway.core.arguments import Unjudgeable, arguments_hash, read_arguments


def nested(depth):
    return '{"a":' * depth + "1" + "}" * depth


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{}", {}),
        (' { "a" : [1, {"b": null}] } ', {"a": [1, {"b": None}]}),
        ('{"\\u0061":"\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        ('{"a":{"b":1},"b":{"a":1}}', {"a": {"b": 1}, "b": {"a": 1}}),
    ],
)
def test_what_can_be_read(text, value):
    assert read_arguments(text) == value


def test_sixty_four_levels_and_no_more():
    read_arguments(nested(64))
    read_arguments('{"a":[' + ",".join(["[1]"] * 200) + "]}")
    with pytest.raises(Unjudgeable, match="64 deep"):
        read_arguments(nested(65))
    with pytest.raises(Unjudgeable):
        read_arguments(nested(100_000))


def test_one_mebibyte_and_no_more():
    filler = "x" * ((1 << 20) - 8)
    assert read_arguments('{"a":"' + filler + '"}')
    with pytest.raises(Unjudgeable, match="1 MiB"):
        read_arguments('{"a":"' + filler + 'x"}')


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no JSON"),
        ("no", "no JSON"),
        ("[]", "no JSON object"),
        ("null", "no JSON object"),
        ('{"a":1}{"a":2}', "no JSON"),
        ('{"a":NaN}', "no JSON"),
        ('{"a":Infinity}', "no JSON"),
        ('{"a":"\\ud800"}', "no JSON"),
        ('{"a":"\ud800"}', "surrogate"),
        ('{"a":1,"a":1}', "twice"),
        ('{"a":1,"\\u0061":2}', "twice"),
        *(('{"x":' * depth + '{"a":1,"a":2}' + "}" * depth, "twice") for depth in range(1, 6)),
    ],
)
def test_what_can_not(text, why):
    with pytest.raises(Unjudgeable, match=why):
        read_arguments(text)


def test_the_hash_is_that_of_the_meaning():
    assert arguments_hash('{"b": 1, "a": "\\u0041"}') == arguments_hash('{"a":"A","b":1}')
    assert arguments_hash('{"a":"A"}') != arguments_hash('{"a":"B"}')
    for broken in ("no", '{"a":1,"a":1}', "\ud800"):
        raw = broken.encode(errors="surrogatepass")
        assert arguments_hash(broken) == hashlib.sha256(raw).hexdigest()
