"""The OpenAPI document says what the routes are."""

import msgspec
from jsonschema import Draft202012Validator

from gateway.console.actors import Role
from gateway.console.openapi import document, with_document
from gateway.console.routes import Route
from tests.console.test_application import ROUTES


def test_every_route_is_described_and_nothing_else():
    described = {
        (method.upper(), path) for path, item in document(ROUTES)["paths"].items() for method in item
    }
    assert described == {(route.method, route.path) for route in ROUTES}


def test_what_is_said_of_a_route():
    paths = document(ROUTES)["paths"]
    create = paths["/api/things"]["post"]
    assert create["x-role"] == "operate"
    assert create["requestBody"]["required"]
    assert set(create["responses"]) == {"201", "4XX", "5XX"}
    [limit] = paths["/api/things"]["get"]["parameters"]
    assert limit == {
        "name": "limit",
        "in": "query",
        "required": False,
        "schema": {"type": "integer", "default": 5},
    }
    [identifier] = paths["/api/things/{id}"]["get"]["parameters"]
    assert (identifier["name"], identifier["in"], identifier["required"]) == ("id", "path", True)
    assert "description" not in identifier
    [text] = paths["/api/texts/{id}"]["get"]["parameters"]
    assert "percent-encoded whole" in text["description"]
    assert set(paths["/api/things/{id}"]["delete"]["responses"]) == {"204", "4XX", "5XX"}


def test_references_lead_somewhere():
    said = document(ROUTES)
    for reference in references(said):
        value = said
        for part in reference.removeprefix("#/").split("/"):
            value = value[part]
        Draft202012Validator.check_schema(value)


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


async def test_the_document_describes_itself():
    routes = with_document(ROUTES)
    assert routes[-1].path == "/openapi.json"
    described = await routes[-1].handle(None)
    assert "/openapi.json" in described["paths"]
    assert msgspec.json.encode(described)
    assert isinstance(routes[-1], Route)
    assert routes[-1].role is Role.READ
