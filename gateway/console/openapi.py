"""The OpenAPI document, made from the routes: what is not a route is not in it, and the other way round."""

from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec

from gateway.console.actors import Role
from gateway.console.refusals import Failure
from gateway.console.routes import Call, Route

_REFERENCE = "#/components/schemas/{name}"

_ANY_VALUE = (
    "Any text, percent-encoded whole: a slash is %2F. Many clients take `.` and `..` out of a path, however they are "
    "written: the filter of the list finds these."
)


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the description of all routes."""
    routes = tuple(routes)
    bodies = [route.body for route in routes if route.body]
    answers = [route.answer for route in routes if route.answer is not None]
    queries = [route.query for route in routes if route.query]
    types = list(dict.fromkeys([Failure, *bodies, *answers]))
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    parameters = {kind: _parameters(kind) for kind in dict.fromkeys(queries)}
    of = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, of, parameters)
    return {
        "openapi": "3.1.0",
        "info": {"title": "llm-gateway console", "version": version("llm-gateway")},
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-gateway-session"},
            },
        },
    }


def _operation(route: Route, schemas: dict[Any, Any], parameters: dict[Any, list[Any]]) -> dict[str, Any]:
    segments = (segment for segment in route.path.split("/") if segment.startswith("{"))
    placeholders = [
        {"name": segment[1:-1], "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        | ({"description": _ANY_VALUE} if route.any_value else {})
        for segment in segments
    ]
    done: dict[str, Any] = {"description": "Done."}
    if route.download:
        done["content"] = {route.download: {"schema": {}}}
    elif route.answer is not None:
        done["content"] = _json(schemas[route.answer])
    operation = {
        "operationId": f"{route.method.lower()} {route.path}",
        "summary": route.summary,
        "description": f"Takes the role `{route.role.word}`."
        + (" A virtual key sees its own agent's data." if route.scoped else ""),
        "x-role": route.role.word,
        "parameters": [*placeholders, *(parameters[route.query] if route.query else ())],
        "responses": {
            str(route.answered): done,
            "4XX": {"description": "Refused.", "content": _json(schemas[Failure])},
            "5XX": {"description": "Failed.", "content": _json(schemas[Failure])},
        },
    }
    if route.body:
        operation["requestBody"] = {"required": True, "content": _json(schemas[route.body])}
    return operation


def _json(schema: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _parameters(kind: type[msgspec.Struct]) -> list[dict[str, Any]]:
    [_], components = msgspec.json.schema_components([kind], ref_template=_REFERENCE)
    own = components[kind.__name__]
    return [
        {"name": name, "in": "query", "required": name in own["required"], "schema": _said(schema)}
        for name, schema in own["properties"].items()
    ]


def _said(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter: one that is not there is not written as null."""
    schema = {key: value for key, value in schema.items() if (key, value) != ("default", None)}
    choices = [each for each in schema.pop("anyOf", []) if each != {"type": "null"}]
    return (
        {**schema, **choices[0]}
        if len(choices) == 1
        else {**schema, **({"anyOf": choices} if choices else {})}
    )


def with_document(routes: Iterable[Route]) -> list[Route]:
    """Return the routes, and the one that describes them all."""

    @cache
    def described() -> dict[str, Any]:
        return document(result)

    async def describe(_: Call) -> dict[str, Any]:
        return described()

    own = Route(
        method="GET", path="/openapi.json", role=Role.READ, handle=describe, answer=dict[str, Any],
        summary="This document.",
    )  # fmt: skip
    result = [*routes, own]
    return result
