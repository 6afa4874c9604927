"""Synthesised values satisfy their schemas."""

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.demo.synthesis import synthesise

NODE = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
    },
    "required": ["name", "next"],
}

SCHEMAS = [
    True,
    {},
    {"type": "object"},
    {"type": "object", "properties": {"a": {"type": "integer", "minimum": 5, "maximum": 5}}},
    {"type": "object", "properties": {"a": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}}},
    {"type": "object", "required": ["undeclared"], "properties": {}},
    {"type": ["null", "integer"], "multipleOf": 7, "minimum": 8},
    {"type": "array", "items": {"enum": ["x", "y", "z"]}, "minItems": 3, "uniqueItems": True},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "boolean"}], "items": False},
    {"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "string"}, "minItems": 3},
    {"type": "array", "maxItems": 0, "items": {"type": "string"}},
    {"type": "string", "minLength": 200, "maxLength": 210},
    {"type": "string", "maxLength": 3},
    {"type": "string", "format": "date"},
    {"const": {"exact": [1]}},
    {"oneOf": [{"type": "null"}, {"type": "boolean"}]},
    {"$ref": "#/$defs/Node", "$defs": {"Node": NODE}},
    {"definitions": {"a/b": {"type": "integer"}}, "$ref": "#/definitions/a~1b"},
    {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"properties": {"b": {"$ref": "#/$defs/B"}}, "required": ["b"]},
        ],
        "$defs": {"B": {"type": "array", "items": {"type": "integer"}, "minItems": 2}},
    },
    {"type": "object", "properties": {"a": {}, "b": True}, "required": ["a", "b"], "minProperties": 2},
    {"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "string"}}, "minProperties": 2},
]


@pytest.mark.parametrize("variant", [0, 1])
@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_value_satisfies_the_schema(schema, variant):
    value = synthesise(schema, "What is the tide in Saint-Malo?", variant)
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(value)


def bounded(low, high, *names):
    return st.tuples(st.integers(low, high), st.integers(low, high)).map(
        lambda pair: dict(zip(names, sorted(pair), strict=True))
    )


LEAVES = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    bounded(0, 20, "minLength", "maxLength").map(lambda limits: {"type": "string", **limits}),
    bounded(-50, 50, "minimum", "maximum").map(lambda limits: {"type": "integer", **limits}),
    bounded(-50, 50, "minimum", "maximum").map(lambda limits: {"type": "number", **limits}),
    st.lists(st.one_of(st.integers(), st.text(), st.none()), min_size=1, unique=True).map(
        lambda v: {"enum": v}
    ),
)


def nested(inner):
    names = st.dictionaries(st.sampled_from(["city", "url", "query", "x", "y"]), inner, max_size=4)
    objects = names.map(lambda p: {"type": "object", "properties": p})
    required = names.map(
        lambda p: {"type": "object", "properties": p, "required": list(p), "additionalProperties": False}
    )
    arrays = st.tuples(inner, bounded(0, 4, "minItems", "maxItems")).map(
        lambda pair: {"type": "array", "items": pair[0], **pair[1]}
    )
    options = st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options})
    return st.one_of(objects, required, arrays, options)


@settings(max_examples=150, deadline=None)
@given(st.recursive(LEAVES, nested, max_leaves=12), st.text(max_size=30), st.integers(0, 1))
def test_any_schema(schema, prompt, variant):
    jsonschema.Draft202012Validator(schema).validate(synthesise(schema, prompt, variant))


def test_gemini_types_in_capitals():
    schema = {"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}, "on": {"type": "BOOLEAN"}}}
    assert synthesise(schema | {"required": ["n", "on"]}) == {"n": 1, "on": True}


def test_two_variants_differ():
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    assert synthesise(schema, variant=0) != synthesise(schema, variant=1)
