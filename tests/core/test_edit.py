"""An edit changes what it names; every other byte stays. A split loses none."""

import json  # noqa: TID251  # an opinion on the result that is not our decoder's
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.edit import edit, places, split

B = rb'[ {"c": "\u0041", "d": null}, 2 ]'
DOCUMENT = b' {"a" : 1.50, "b": ' + B + b',\n "e": {"f": [1,\n2]} } '


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({("a",): b'"x"'}, b' {"a" : "x", "b": ' + B + b',\n "e": {"f": [1,\n2]} } '),
        ({("a",): None}, b' {"b": ' + B + b',\n "e": {"f": [1,\n2]} } '),
        ({("b",): None}, b' {"a" : 1.50,\n "e": {"f": [1,\n2]} } '),
        ({("e",): None}, b' {"a" : 1.50, "b": ' + B + b" } "),
        ({("a",): None, ("b",): None}, b' {"e": {"f": [1,\n2]} } '),
        ({("a",): None, ("e",): None}, b' {"b": ' + B + b" } "),
        ({("e",): None, ("a",): None, ("b",): None}, b" { } "),
        ({("e",): None, ("a",): None, ("b",): None, ("new",): b"1", ("ok",): b"2"}, b' {"new":1,"ok":2 } '),
        ({("e",): None, ("new",): b"1"}, b' {"a" : 1.50, "b": ' + B + b',"new":1 } '),
        ({("new",): b"1"}, b' {"a" : 1.50, "b": ' + B + b',\n "e": {"f": [1,\n2]},"new":1 } '),
        (
            {('n\n"',): b"1", ("a",): b"0", ("m",): b""},
            b' {"a" : 0, "b": ' + B + b',\n "e": {"f": [1,\n2]},"n\\n\\"":1,"m":null } ',
        ),
        ({("gone",): None}, DOCUMENT),
        ({("b", 7): None}, DOCUMENT),
        ({}, DOCUMENT),
        (
            {("b", 0, "d"): b"5", ("e", "f", 0): None, ("b", 1): b"[]", ("e", "g"): b"6"},
            rb' {"a" : 1.50, "b": [ {"c": "\u0041", "d": 5}, [] ],' + b'\n "e": {"f": [2],"g":6} } ',
        ),
        ({("b", 0): None}, b' {"a" : 1.50, "b": [ 2 ],\n "e": {"f": [1,\n2]} } '),
        ({("b", 0): None, ("b", 1): None}, b' {"a" : 1.50, "b": [  ],\n "e": {"f": [1,\n2]} } '),
        # What lies below a value that is replaced goes with it.
        ({("e",): b"0", ("e", "f"): b"1"}, b' {"a" : 1.50, "b": ' + B + b',\n "e": 0 } '),
        ({("b", 0): b"0", ("b", 0, "c"): b"1"}, b' {"a" : 1.50, "b": [ 0, 2 ],\n "e": {"f": [1,\n2]} } '),
        ({("e",): None, ("e", "f"): b"1"}, b' {"a" : 1.50, "b": ' + B + b" } "),
        ({(): b"7", ("a",): b"8"}, b"7"),
        ({(): None}, b"null"),
    ],
)
def test_edit(changes, result):
    assert edit(DOCUMENT, changes) == result


@pytest.mark.parametrize(
    ("document", "changes", "result"),
    [
        (b'{"a":1, "a":1}', {("a",): b"2"}, b'{"a":1, "a":2}'),
        (b'{"a":12,"b":3,"a":1}', {("b",): b"4"}, b'{"a":12,"b":4,"a":1}'),
        (rb'{"a":12,"b":3,"\u0061" :1}', {("a",): b"4"}, rb'{"a":12,"b":3,"\u0061" :4}'),
        (rb'{"a":{"b":["}\"",{}]},"c":3,"a":{}}', {("c",): b"4"}, rb'{"a":{"b":["}\"",{}]},"c":4,"a":{}}'),
        (b'{"a":[1], "b":3, "a":[2]}', {("a", 0): b"4"}, b'{"a":[1], "b":3, "a":[4]}'),
        # The earlier one would count if only the last were removed.
        (b'{"a":1, "b":3, "a":2}', {("a",): None}, b'{"b":3}'),
        (b'{"a":1, "a":2}', {("a",): None, ("b",): b"3"}, b'{"b":3}'),
        (b"{\r\n}", {("a",): b"1"}, b'{"a":1\r\n}'),
        (b"[{},[]]", {(0, "a"): b"1", (1, 0): None}, b'[{"a":1},[]]'),
        (b"[1,2, 3 ,4]", {(2,): b"5"}, b"[1,2, 5 ,4]"),
        (b"[1,2, 3 ,4]", {(2,): None}, b"[1,2 ,4]"),
        (b'["a,b","a"," b"]', {(1,): b"5"}, b'["a,b",5," b"]'),
    ],
)
def test_repeated_keys_and_spacing(document, changes, result):
    assert edit(document, changes) == result


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (("missing", "x"), KeyError),
        (("b", 2), IndexError),
        (("b", -1), IndexError),
        (("b", 5, "x"), IndexError),
        (("b", "x"), KeyError),
        (("a", "x"), KeyError),
        ((0,), KeyError),
    ],
)
def test_a_path_that_leads_nowhere(path, error):
    with pytest.raises(error):
        edit(DOCUMENT, {path: b"1"})


class Text:
    """A scalar, by its bytes."""

    def __init__(self, text):
        self.text = text

    def render(self):
        return self.text


class Box:
    """An object or array: each child's white space and key, its value, and the white space after it."""

    def __init__(self, brackets, children, inside):
        self.brackets, self.children, self.inside = brackets, children, inside

    def render(self):
        parts = [before + key + value.render() + after for before, key, _, value, after in self.children]
        return self.brackets[:1] + (b",".join(parts) or self.inside) + self.brackets[1:]

    def names(self):
        """Return what an edit may name, with the place of the child that counts."""
        return {child[2]: place for place, child in enumerate(self.children)}


spaces = st.sampled_from([b"", b" ", b"", b"\n  ", b"\r\n\t"])
# Few names, so that they repeat; some need an escape, some only have one.
names = st.sampled_from(["a", "b", "é", "\u0007", 'q"', "\\", "☂,{", "]:"])


@st.composite
def strings(draw, texts):
    text = draw(texts)
    if draw(st.booleans()):
        return text, json.dumps(text, ensure_ascii=draw(st.booleans())).encode()
    units = text.encode("utf-16-be").hex()
    escaped = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
    return text, f'"{escaped}"'.encode()


scalars = st.sampled_from([b"1", b"12", b"1.50", b"-0", b"1E3", b"12e-1", b"true", b"null"]) | strings(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5) | names
).map(lambda pair: pair[1])


@st.composite
def boxes(draw, inner):
    children = []
    is_object = draw(st.booleans())
    for place in range(draw(st.integers(0, 4))):
        name, key = place, b""
        if is_object:
            name, key = draw(strings(names))
            key += draw(spaces) + b":" + draw(spaces)
        children.append((draw(spaces), key, name, draw(inner), draw(spaces)))
    return Box(b"{}" if is_object else b"[]", children, draw(spaces))


documents = boxes(st.recursive(scalars.map(Text), boxes, max_leaves=12))


def draw_edits(draw, box, path, changes):
    """Draw edits of a box into ``changes``; make them in the box itself, in the simplest way there is."""
    removed = set()
    for name, place in box.names().items():
        before, key, _, value, after = box.children[place]
        match draw(st.sampled_from(["keep", "descend", "replace", "remove"])):
            case "replace":
                changes[(*path, name)] = new = draw(scalars)
                box.children[place] = (before, key, name, Text(new), after)
            case "remove":
                changes[(*path, name)] = None
                removed.add(name)
            case "descend" if isinstance(value, Box):
                draw_edits(draw, value, (*path, name), changes)
    if box.brackets == b"{}" and draw(st.booleans()):
        changes[(*path, "new")] = new = draw(scalars)
        add(box, b'"new":', Text(new))
    remove(box, removed)


def remove(box, removed):
    kept = []
    for before, key, name, value, after in box.children:
        if name not in removed:
            # The first one left stands where the first one stood.
            kept.append((before if kept else box.children[0][0], key, name, value, after))
        elif kept:
            kept[-1] = (*kept[-1][:4], kept[-1][4] + after)
    if box.children and not kept:
        box.inside = box.children[0][0] + box.children[-1][4]
    box.children = kept


def add(box, key, value):
    if box.children:
        *rest, after = box.children[-1]
        box.children[-1] = (*rest, b"")
        box.children.append((b"", key, "new", value, after))
    else:
        box.children.append((b"", key, "new", value, box.inside))


@given(documents, spaces, spaces, st.data())
def test_other_bytes_stay(box, before, after, data):
    document = before + box.render() + after
    expected = deepcopy(box)
    changes = {}
    draw_edits(data.draw, expected, (), changes)
    assert edit(document, changes) == before + expected.render() + after


def replace(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replace(copy[path[0]], path[1:], new)
    return copy


def paths(value, path=()):
    if path:
        yield path
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        yield from paths(child, (*path, key))


@given(documents.filter(lambda box: box.children), st.data())
def test_the_result_parses_to_the_edited_value(box, data):
    document = box.render()
    value = json.loads(document)
    path = data.draw(st.sampled_from(list(paths(value))))
    edited = edit(document, {path: b'"edited"'})
    assert json.loads(edited) == replace(value, path, "edited")
    before, _, after = edited.partition(b'"edited"')
    assert document.startswith(before)
    assert document.endswith(after)
    assert len(before) + len(after) < len(document)


@pytest.mark.parametrize(
    ("document", "path", "pieces"),
    [
        (
            b' {"a" :[ 1 , {"b":[2]},\n[] ] } ',
            ("a",),
            (b' {"a" :[ ', [b"1", b' , {"b":[2]}', b",\n[]"], b" ] } "),
        ),
        (b'{"a":[1,{"b":[2]}]}', ("a", 1, "b"), (b'{"a":[1,{"b":[', [b"2"], b"]}]}")),
        (b'{"a":["],[",2]}', ("a",), (b'{"a":[', [b'"],["', b",2"], b"]}")),
        (b'{"a":[1],"a":[2,3]}', ("a",), (b'{"a":[1],"a":[', [b"2", b",3"], b"]}")),
        (rb'{"\u0061":[1]}', ("a",), (rb'{"\u0061":[', [b"1"], b"]}")),
        (b'{"a":[ ]}', ("a",), (b'{"a":[', [], b" ]}")),
        (b" [1] ", (), (b" [", [b"1"], b"] ")),
        (b'{"a":"[1]"}', ("a",), None),
        (b'{"a":null}', ("a",), None),
        (b'{"a":{"b":[1]}}', ("a",), None),
        (b'{"a":{"b":[1]}}', ("a", "b", "c"), None),
        (b'{"a":[[1]]}', ("a", 1), None),
        (b'{"a":[[1]]}', ("b",), None),
        (b'{"a":[1,2', ("a",), None),
        (b'{"a":' + b"[" * 100_000, ("a",), None),
        (b"", ("a",), None),
    ],
)
def test_split(document, path, pieces):
    assert split(document, path) == pieces


@given(documents, spaces, spaces, st.data())
def test_a_split_loses_no_byte(box, before, after, data):
    document = before + box.render() + after
    value = json.loads(document)
    path = data.draw(st.sampled_from([(), *paths(value)]))
    for key in path:
        value = value[key]
    pieces = split(document, path)
    if not isinstance(value, list):
        assert pieces is None
        return
    prefix, elements, suffix = pieces
    assert b"".join((prefix, *elements, suffix)) == document
    assert [json.loads(element.lstrip(b", \t\r\n")) for element in elements] == value
    assert prefix.rstrip().endswith(b"[")
    assert suffix.lstrip().startswith(b"]")
    # The separator belongs to the element after it.
    assert all(element == element.strip() for element in elements[:1])
    assert all(element.lstrip().startswith(b",") for element in elements[1:])


@pytest.mark.parametrize(
    ("document", "path", "expected"),
    [
        (b' {"a": 1} ', (), [b'{"a": 1}']),
        (b'{"a": 1, "a": [2]}', ("a",), [b"1", b"[2]"]),
        (b'{"a": [1, {"b": 2}], "a": {"b": 3}}', ("a", -1, "b"), [b"2"]),
        (b'{"a": [1, 2], "a": [3]}', ("a", 0), [b"1", b"3"]),
        (b'{"a": 1}', ("b",), []),
        (b'{"a": 1}', (0,), []),
        (b"[1]", ("a",), []),
        (b"[]", (-1,), []),
        (b"5", ("a",), []),
    ],
)
def test_places(document, path, expected):
    assert [document[start:end] for start, end in places(document, path)] == expected
