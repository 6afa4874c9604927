"""What two parsers may read differently is found at any depth and in any spelling."""

import json  # noqa: TID251  # the reference that shows duplicate keys

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.errors import BadRequest
from gateway.core.strict import (
    UNREADABLE,
    Ambiguous,
    call_names,
    duplicate_member,
    has_capital_key,
    has_repeated_key,
    load,
    lone_surrogate,
    tree,
)


@pytest.mark.parametrize(
    "document",
    [
        b"{}",
        b"[1, 2.50, 1e3, -0, 1E+2]",
        b' { "a" : { "b" : [ { } , null ] } } \n',
        b'{"a": "x y", "b": "\\u0041\\/\\t", "a ": 1, "A": 2}',
        b'[{"a": 1}, {"a": 1}]',
        b'{"a": {"a": {"a": 1}}}',
        b'{"n": 18446744073709551616, "f": 0.1000}',
    ],
)
def test_without_doubt(document):
    value, canonical = tree(document)
    assert value == json.loads(document)
    assert msgspec.json.decode(canonical) == value


@pytest.mark.parametrize(
    "document",
    [
        b'{"a": 1, "a": 1}',
        b'{"a": 1,\n\t"a": 2}',
        b'{"a": 1, "\\u0061": 2}',
        b'{"\\u0061": 1, "a": 2}',
        b'{"": 1, "": 2}',
        b'[1, {"x": [{"b": {"name": "f", "n\\u0061me": "g"}}]}]',
        b'{"x": {"a": 1, "b": {}, "a": 1}, "y": 1}',
        b'{"x": {"x": 1}, "x": {"x": 1}}',
        b'{"a\\/b": 1, "a/b": 1.0}',
        b'{"\\ud83d\\ude00": 1, "\xf0\x9f\x98\x80": 2}',
        b'{"a": 1, "a": 1e3}',
    ],
)
def test_ambiguous(document):
    with pytest.raises(Ambiguous):
        tree(document)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[DONE]",
        b"{} {}",
        b'{"a": 1}\n{"b": 1}',
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": NaN}',
        b'{"a": 1,}',
        b'{"a": "\xff"}',
        b'{"\xff": 1}',
        b'{"a": "\\ud800"}',
        b'{"a": "\x00"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a": 1' + b"0" * 5000 + b"}",
        '{"a": 1}'.encode("utf-16"),
    ],
)
def test_unreadable(document):
    with pytest.raises(UNREADABLE):
        tree(document)


def duplicated(document: bytes, *, top: bool) -> bool:
    """The standard library's verdict."""
    found = []

    def hook(pairs):
        keys = [key for key, _ in pairs]
        found.append(len(set(keys)) != len(keys))
        return dict(pairs)

    outermost = json.loads(document, object_pairs_hook=hook)
    assert isinstance(outermost, dict)
    return found[-1] if top else any(found)


# Documents spelt by hand: any key may come twice, any character may be escaped, white space is anywhere.
space = st.sampled_from(["", "", "", " ", "\n", "\t\r "])
letters = st.sampled_from(
    ["a", "b", "\\u0061", "\\u0062", " ", "\\u0020", "\\n", '\\"', "\\\\", "☂", "\\u2602", "\\/"]
)
strings = st.lists(letters, max_size=3).map(lambda parts: f'"{"".join(parts)}"')
numbers = st.sampled_from(["0", "-1", "1.0", "1e3", "1000.0", "12345678901234567890123"])
scalars = strings | numbers | st.sampled_from(["true", "false", "null"])


def objects(inner):
    pair = st.tuples(space, strings, space, space, inner, space).map(
        lambda p: f"{p[0]}{p[1]}{p[2]}:{p[3]}{p[4]}{p[5]}"
    )
    return st.lists(pair, max_size=4).map(lambda pairs: "{" + ",".join(pairs) + "}")


def arrays(inner):
    return st.lists(st.tuples(space, inner, space).map("".join), max_size=3).map(
        lambda items: "[" + ",".join(items) + "]"
    )


documents = objects(st.recursive(scalars, lambda inner: objects(inner) | arrays(inner), max_leaves=12)).map(
    str.encode
)


@given(documents)
@example(b'{"a b":1,"ab":2}')
def test_duplicates_are_those_that_the_standard_library_shows(document):
    if duplicated(document, top=False):
        with pytest.raises(Ambiguous):
            tree(document)
    else:
        assert tree(document)[0] == json.loads(document)
    assert (duplicate_member(document) is not None) is duplicated(document, top=True)


@pytest.mark.parametrize(
    ("document", "key"),
    [
        (b'{"model": 1, "stream": 2}', None),
        (b'{"a": "\\u0041", "b": {"x": 1, "x": 2}}', None),
        (b'{"model": 1, "x": {}, "mod\\u0065l": 2}', "model"),
        (b'{"a": 1, "b": 2, "b": 3, "a": 4}', "a"),
        (b'{"a": 12, "a": 1}', "a"),
        (b'{"a": 1, "a": 12, "b": 1}', "a"),
        (b'{"a": 1, "a": 1}', "a"),
        (b' { "a\\"b" : [1, {"a": 2}] ,\n "a" : "a" } ', None),
    ],
)
def test_duplicate_member(document, key):
    assert duplicate_member(document) == key


@pytest.mark.parametrize(
    ("document", "names"),
    [
        (b'{"name": "f"}', ""),
        (b'{"arguments": "{}"}', ""),
        (b'{"name": "f"}, {"arguments": 1}'.join((b"[", b"]")), ""),
        (b'{"name": "f", "arguments": "{}"}', "f"),
        (b'{"name": "f", "input": {}}', "f"),
        (b'{"name": "f", "args": null}', "f"),
        (b'{"Name": "f", "ARGUMENTS": "{}"}', "f"),
        (b'{"n\\u0061me": "f", "\\u0061rgs": {}}', "f"),
        # What arguments look like is the tool's own business.
        (b'[{"a": [{"name": "f", "args": {"name": "g", "input": [{"name": "h", "args": 1}]}}]}, 1]', "f"),
        (
            b'[{"name": "f", "args": {}, "x": {"name": "g", "input": 1}}, {"y": [{"name": "h", "args": 1}]}]',
            "fgh",
        ),
        (b'{"name": 5, "args": {}}', ""),
        (b'{"name": "", "args": {}}', ""),
        (b'{"name": "f", "NAME": "g", "args": {}}', "fg"),
        (b'{"Name": "f", "name": null, "args": {}}', "f"),
        (b'{"text": "{\\"name\\": \\"f\\", \\"arguments\\": 1}"}', ""),
        # To some clients the long s is an s.
        ('{"name": "f", "argument\u017f": {}}'.encode(), "f"),
    ],
)
def test_call_names(document, names):
    assert "".join(call_names(*tree(document))) == names


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ('{"functionCall": {"name": "f"}}', ["f"]),
        ('{"groundingMetadata": {"x": [{"function_CALL": {"Name": "f"}}]}}', ["f"]),
        ('{"tool_call": [{"name": "f"}, {"name": "g"}]}', ["f", "g"]),
        ('{"item": {"type": "custom_tool_call", "name": "f"}}', ["f"]),
        ('{"x": {"Type": "TOOL_USE", "name": "f"}}', ["f"]),
        ('{"item": {"type": "mcp_approval_request", "name": "f"}}', ["f"]),
        (
            '{"item": {"type": "function_call", "name": "f", "arguments": {"type": "call", "name": "g"}}}',
            ["f"],
        ),
        ('{"item": {"type": "function_call"}}', []),
        ('{"item": {"type": "message", "name": "f"}}', []),
        ('{"item": {"type": ["call"], "name": "f"}}', []),
        ('{"functionCall": {"x": {"name": "f"}}}', []),
        ('{"caller": {"name": "f"}}', []),
    ],
)
def test_a_call_without_arguments_says_itself_that_it_is_one(document, names):
    assert call_names(*tree(document.encode())) == names


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ('{"tool_calls": [{"name": "f"}]}', []),
        ('{"Tool_Calls": [{"name": "f"}]}', [""]),
        ('{"tool_call\u017f": [{"name": "f"}]}', [""]),
        ('{"tool_\\u0043alls": [{"name": "f"}]}', [""]),
        ('[{"x": {"TOOL_CALLS": [{"name": "f"}], "name": "a", "args": 1}}]', ["", "a"]),
        ('{"args": 1, "name": "f", "input": {"TOOL_CALLS": [{"name": "g"}]}}', ["f"]),
        # Without a name there is no call.
        ('{"Tool_Calls": []}', []),
    ],
)
def test_a_member_that_leads_to_a_call_in_another_spelling(document, names):
    assert call_names(*tree(document.encode()), frozenset({"tool_calls"})) == names


class Body(msgspec.Struct):
    model: str
    stream: bool | None = None


_body = msgspec.json.Decoder(Body)


def test_load():
    assert load(_body, '{"model": "☂ \\ud83d\\ude00 \\\\ud83d", "x": {}}'.encode()).model == "☂ 😀 \\ud83d"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b'\xef\xbb\xbf{"model": "m"}', "byte order mark"),
        (b'{"model": "\xff"}', "not UTF-8: invalid byte at 11"),
        (b'{"x": {"y": "\xff"}, "model": "m"}', "not UTF-8: invalid byte at 13"),
        (b'{"model": "\\ud83d"}', "lone surrogate escape at byte 11"),
        (b'{"model": "m", "x": "\\uDE00"}', "lone surrogate escape at byte 21"),
        (b'{"model": "m"} {}', "not valid JSON: trailing characters"),
        (b'{"model": ', "not valid JSON: it ends early, at byte 10"),
        (b'{"x": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"model": "m", "stream": "yes"}', "not valid at $.stream: Expected bool | null, got str"),
        (b"[]", "not valid at $: Expected object, got array"),
        (b"{}", "not valid at $: Object missing required field model"),
    ],
)
def test_load_says_what_is_wrong(body, message):
    with pytest.raises(BadRequest) as caught:
        load(_body, body)
    assert message in caught.value.message
    assert caught.value.message.endswith((".", "of them."))


@pytest.mark.parametrize(
    ("document", "where"),
    [
        (b'"\\ud83d\\ude00"', None),
        (b'"\\uD83D\\uDE00"', None),
        (b'"\\ud83d"', 1),
        (b'"\\ude00\\ud83d"', 1),
        (b'"\\ud83d\\ud83d\\ude00"', 1),
        (b'"\\\\ud83d"', None),
        (b'"\\\\\\ud83d"', 3),
        (b'"\\u0041"', None),
    ],
)
def test_lone_surrogate(document, where):
    assert lone_surrogate(document) == where


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_text_that_json_can_hold_has_a_lone_surrogate(text):
    assert lone_surrogate(json.dumps(text).encode()) is None


def test_what_repeats_the_request_holds_no_call():
    document = b'{"tools":[{"name":"f","input":{}}],"metadata":{"Name":"x"},"x":{"name":"g","input":{}}}'
    assert call_names(*tree(document), frozenset({"name"}), frozenset({"tools", "metadata"})) == ["g"]
    assert call_names(*tree(document), frozenset({"name"})) == ["f", "", "g"]


def test_while_calls_are_held_a_member_spelt_otherwise_counts_without_a_name():
    document = b'{"index":0,"function":{"Arguments":"{}"}}'
    keys = frozenset({"arguments"})
    assert call_names(*tree(document), keys) == []
    assert call_names(*tree(document), keys, thorough=True) == [""]


@pytest.mark.parametrize(
    "document", [b'{"Arguments":1}', b'{"a":[{"tool_Calls":1}]}', b'{"x":"y","partial_JSON":""}']
)
def test_keys_with_capitals(document):
    assert has_capital_key(document)


@pytest.mark.parametrize(
    "document", [b'{"a":"Text","b":{"c_d":1}}', b'{"a":"\\"Key\\":1"}', b'{"a":["B","C"]}']
)
def test_texts_with_capitals(document):
    assert not has_capital_key(document)


@pytest.mark.parametrize("number", [b"1" * 5000, b"-1e999", b"1e-5"])
def test_a_key_is_found_twice_whatever_numbers_stand_beside_it(number):
    assert not has_repeated_key(b'{"n":%b,"a":[{"k":1},{"k":1}]}' % number)
    assert has_repeated_key(b'{"n":%b,"a":[{"k":1,"\\u006b":1}]}' % number)


@pytest.mark.parametrize("document", [b"[1e999", b"[1e999,]", b'[1e999,"\x01"]', b"[" * 5000 + b"]" * 5000])
def test_what_can_t_be_read_is_said_to_be_so(document):
    with pytest.raises(UNREADABLE):
        has_repeated_key(document)
