"""Values that satisfy a JSON schema in a simple way: arguments of tool calls and structured answers."""

from collections.abc import Mapping
from typing import Any

DEPTH = 12  # a recursive schema ends here

# Plausible values by the name of a property; the second is for the second of two parallel calls.
BY_NAME = {
    "city": ("Paris", "London"),
    "location": ("Paris", "London"),
    "place": ("Paris", "London"),
    "country": ("France", "England"),
    "name": ("Ada", "Grace"),
    "email": ("ada@example.com", "grace@example.com"),
    "to": ("ada@example.com", "grace@example.com"),
    "url": ("https://example.com/", "https://example.org/"),
    "path": ("notes.txt", "todo.txt"),
    "file_path": ("notes.txt", "todo.txt"),
    "command": ("ls", "pwd"),
    "code": ("print(1)", "print(2)"),
    "language": ("en", "fr"),
    "currency": ("EUR", "GBP"),
    "unit": ("celsius", "fahrenheit"),
}

BY_FORMAT = {
    "date": "2026-01-15",
    "date-time": "2026-01-15T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "ada@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
}

Schema = Mapping[str, Any]


def synthesise(schema: Any, prompt: str = "", variant: int = 0) -> Any:
    """Return a value that satisfies the schema; free text comes from the prompt."""
    root: Schema = schema if isinstance(schema, Mapping) else {}
    return _Synthesis(root, " ".join(prompt.split())[:80] or "demo", variant).value(root, "", 0)


class _Synthesis:
    """One schema being filled in."""

    def __init__(self, root: Schema, prompt: str, variant: int) -> None:
        self.root = root
        self.prompt = prompt
        self.variant = variant

    def value(self, schema: Any, name: str, depth: int) -> Any:
        if not isinstance(schema, Mapping):
            return self.prompt  # `true`, or a property without a schema
        schema = self.resolve(schema)
        for key in ("const", "default"):
            if key in schema:
                return schema[key]
        if choices := schema.get("enum"):
            return choices[self.variant % len(choices)]
        for key in ("anyOf", "oneOf"):
            if options := schema.get(key):
                return self.value(self.simplest(options, depth), name, depth)
        match self.kind(schema):
            case "object":
                return self.object(schema, depth)
            case "array":
                return self.array(schema, name, depth)
            case "string":
                return self.string(schema, name)
            case "integer":
                return int(self.number(schema, 1))
            case "number":
                return self.number(schema, 1 if "multipleOf" in schema else 0.5)
            case "boolean":
                return True
            case _:
                return None

    def resolve(self, schema: Schema) -> Schema:
        """Follow references and join what `allOf` says."""
        merged = dict(schema)
        for _ in range(DEPTH):
            if isinstance(reference := merged.pop("$ref", None), str):
                merged = {**self.referenced(reference), **merged}
            elif parts := merged.pop("allOf", None):
                for part in parts:
                    merged = _joined(merged, self.resolve(part) if isinstance(part, Mapping) else {})
            else:
                break
        return merged

    def referenced(self, reference: str) -> Schema:
        found: Any = self.root
        for key in reference.removeprefix("#").strip("/").split("/"):
            if key:
                found = (
                    found.get(key.replace("~1", "/").replace("~0", "~"), {})
                    if isinstance(found, Mapping)
                    else {}
                )
        return found if isinstance(found, Mapping) else {}

    def simplest(self, options: list[Any], depth: int) -> Any:
        """Prefer something over null, but null over endless recursion."""
        null = [option for option in options if isinstance(option, Mapping) and option.get("type") == "null"]
        rest = [option for option in options if option not in null]
        return (null or rest)[0] if depth > DEPTH // 2 else (rest or null)[0]

    def kind(self, schema: Schema) -> str:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((item for item in kind if item != "null"), "null")
        if isinstance(kind, str) and kind != "TYPE_UNSPECIFIED":
            return kind.lower()  # Gemini's own schemas write OBJECT
        if "properties" in schema or "required" in schema or not schema:
            return "object"
        return "array" if "items" in schema or "prefixItems" in schema else "string"

    def object(self, schema: Schema, depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        known: Schema = properties if isinstance(properties, Mapping) else {}
        names = list(schema.get("required") or list(known)[:1])
        if depth >= DEPTH:
            names = list(schema.get("required") or ())
        if depth > DEPTH * 2:
            return {}  # a schema that requires itself has no finite value
        names += [name for name in known if name not in names][
            : max(0, schema.get("minProperties", 0) - len(names))
        ]
        return {name: self.value(known.get(name, {"type": "string"}), name, depth + 1) for name in names}

    def array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        items = schema.get("items")
        fixed = [self.value(item, name, depth + 1) for item in schema.get("prefixItems", ())]
        if items is False:
            return fixed
        least = int(schema.get("minItems", 0))
        count = max(least, 0 if depth >= DEPTH or items is None else 1)
        count = min(count, int(schema.get("maxItems", count))) - len(fixed)
        extra = []
        for index in range(max(0, count)):
            self.variant += index  # distinct items, where the schema asks for it
            extra.append(self.value(items if items is not None else {"type": "string"}, name, depth + 1))
            self.variant -= index
        return fixed + extra

    def string(self, schema: Schema, name: str) -> str:
        if (form := schema.get("format")) in BY_FORMAT:
            return BY_FORMAT[form]
        values = BY_NAME.get(name.lower())
        text = values[self.variant % 2] if values else self.prompt
        least = int(schema.get("minLength", 0))
        if len(text) < least:
            text = text.ljust(least, ".")
        return text[: int(schema.get("maxLength", len(text)))]

    def number(self, schema: Schema, step: float) -> float:
        number = float(self.variant + 1)
        step = schema.get("multipleOf", step)
        low, high = schema.get("minimum"), schema.get("maximum")
        if isinstance(above := schema.get("exclusiveMinimum"), int | float) and not isinstance(above, bool):
            low = above + step
        if isinstance(below := schema.get("exclusiveMaximum"), int | float) and not isinstance(below, bool):
            high = below - step
        if low is not None:
            number = max(number, low)
        if high is not None:
            number = min(number, high)
        if multiple := schema.get("multipleOf"):
            number = -(-number // multiple) * multiple
        return int(number) if float(number).is_integer() else number


def _joined(first: dict[str, Any], second: Schema) -> dict[str, Any]:
    joined = {**first, **second}
    if "properties" in first and "properties" in second:
        joined["properties"] = {**first["properties"], **second["properties"]}
    if "required" in first and "required" in second:
        joined["required"] = list(dict.fromkeys([*first["required"], *second["required"]]))
    return joined
