"""What a document must hold beyond being TOML: known keys, values of the right type, values that can be.

Every complaint is about one place, and says what is wrong in words that an operator can act on.
"""

import difflib
import math
import re
from collections.abc import Callable, Iterable
from typing import Any, Literal, get_args, get_origin

import msgspec

from gateway.core.dispatch import ToolDispatcher
from gateway.core.dual_llm import DualLlm
from gateway.core.entities import SLUG, Entity
from gateway.core.redaction import rule_problem
from gateway.settings.model import (
    DECLARABLE,
    Drain,
    Key,
    Places,
    Section,
    Settings,
    SettingsError,
    Size,
    Span,
    Timeouts,
    is_loopback,
    placed,
)

_SIZES = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "kb": 1000, "mb": 10**6, "gb": 10**9}
_SPANS = {"": 1, "s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_BASE_URL = re.compile(
    r"https?://(\w[\w.-]*|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{1,5}))?(/[a-z0-9._~!$&'()*+,;=:@%/-]*)?",
    re.IGNORECASE,
)
LEAST_SECRET = 32
"""Characters of the shortest ``secret_key``."""


def is_base_url(value: str) -> bool:
    """Whether it is empty, or something that paths can be appended to."""
    found = _BASE_URL.fullmatch(value)
    return not value or (found is not None and 0 < int(found["port"] or 80) < 1 << 16)


def _is_reference(value: str) -> bool:
    return not value or re.fullmatch(r"(env|file):.+", value) is not None


def _is_duration(value: float | None) -> bool:
    return value is None or 0 <= value < math.inf


BASE_URL = "a base URL is http(s)://host[:port][/path], without user, query and fragment"
_Rule = tuple[Callable[[Any], bool], str]
_PORT: _Rule = (lambda value: 0 <= value < 1 << 16, "a port is a number from 0 to 65535")
_COUNT: _Rule = (lambda value: value > 0, "it is a number above 0")
_DURATION: _Rule = (_is_duration, "a duration is a finite number of seconds, not below 0")
_MODEL: _Rule = (
    lambda value: not value or all(value.partition("/")[::2]),
    "a model is written with its provider: openai/gpt-4o-mini",
)
_RULES: dict[str, _Rule] = {
    "port": _PORT,
    "console_port": _PORT,
    "base_url": (is_base_url, BASE_URL),
    "api_key": (_is_reference, 'write "env:NAME" or "file:path", never the secret itself'),
    "database_url": (
        lambda value: not value or value.startswith(("sqlite+aiosqlite:///", "postgresql+asyncpg://")),
        "a database URL is sqlite+aiosqlite:///path or postgresql+asyncpg://user:password@host/name",
    ),
    "counters_url": (
        lambda value: value == "memory:" or value.startswith("redis://"),
        "counters are in memory: or at redis://host",
    ),
    "secret_key": (
        lambda value: not value or len(value) >= LEAST_SECRET,
        f"a secret key has {LEAST_SECRET} characters or more, made at random: openssl rand -hex 32",
    ),
    "default_agent": (
        lambda value: SLUG.fullmatch(value) is not None,
        "an agent's slug: letters, digits, . _ -",
    ),
    "workers": _COUNT,
    "max_rounds": _COUNT,
    "client_stall": _DURATION,
    "keepalive": _DURATION,
    **dict.fromkeys((*Timeouts.__struct_fields__, *Drain.__struct_fields__), _DURATION),
    "deadline": (lambda value: 0 < value < math.inf, "it is a number of seconds above 0"),
    **dict.fromkeys(("main_model", "quarantined_model"), _MODEL),
}
"""What a value of a section must hold beyond its type, by its name, and what is said otherwise."""
_ITEMS: dict[str, Callable[[str], str | None]] = {"redact": rule_problem}
"""What each item of a list must hold: the function returns what is wrong."""


def suggest(name: str, known: Iterable[str]) -> str:
    """Return which known name may have been meant, as the end of a sentence."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def decode(kind: type, value: Any) -> Any:
    """Read a size or a span of time, with or without its unit."""
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]+)?)\s*([A-Za-z]*)", str(value))
    units = _SIZES if kind is Size else _SPANS
    if not match or match[2].lower() not in units:
        if kind is Size:
            raise ValueError("a size is a number of bytes, or text like '32 MiB'")
        raise ValueError("a span is a number of seconds, or text like '30 d'")
    return (Size if kind is Size else Span)(float(match[1]) * units[match[2].lower()])


def kinds(table: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the type of every key that may be written in a table."""
    given = table.given if issubclass(table, Entity) else ()
    return {
        f.name: f.type
        for f in msgspec.structs.fields(table)
        if not f.name.startswith("_") and f.name not in given
    }


def verify(value: Any, kind: Any, places: Places, key: Key = ()) -> None:
    """Raise for the first key that means nothing, and for the first value that can't be."""
    if isinstance(value, dict) and (members := _members(value, kind)) is not None:
        for name, part in value.items():
            path = (*key, name)
            if name not in members:
                wrong = f"unknown key {_dotted(path)!r}{suggest(name, members)}"
                raise SettingsError(placed(places, path) + wrong)
            verify(part, members[name], places, path)
    elif isinstance(value, list) and get_origin(kind) is tuple and is_table(get_args(kind)[0]):
        for index, part in enumerate(value):
            verify(part, get_args(kind)[0], places, (*key, index))
    if complaint := _complaint(value, kind):
        path = (*key, *complaint[0])
        raise SettingsError(f"{placed(places, path)}{_dotted(path)}: {complaint[1]}")


def is_table(kind: Any) -> bool:
    """Whether a type is that of a table of the file."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _members(value: dict[str, Any], kind: Any) -> dict[str, Any] | None:
    """Return the type of each member that a table may have; ``None``: it should be no table."""
    if get_origin(kind) is dict:
        return dict.fromkeys(value, get_args(kind)[1])
    return kinds(kind) if is_table(kind) else None


def _complaint(value: Any, kind: Any) -> tuple[Key, str] | None:
    """Return what is wrong with a value whose parts are right, and in which of its members, if in one."""
    try:
        converted = msgspec.convert(value, kind, strict=False, dec_hook=decode)
    except msgspec.ValidationError as error:
        if get_origin(kind) is Literal:
            choices = [choice for choice in get_args(kind) if choice]
            return (), f"{value!r} is none of {', '.join(choices)}{suggest(str(value), choices)}"
        said = str(error).partition(" - at ")[0].replace("`", "")
        return (), said.replace(" | null", "").replace("object", "table").replace("Object", "the table is")
    if isinstance(converted, Section | DualLlm):
        for name in value:
            holds, otherwise = _RULES.get(name, (None, ""))
            if holds is not None and not holds(getattr(converted, name)):
                return (name,), otherwise
            for index, item in enumerate(value[name] if name in _ITEMS else ()):
                if why := _ITEMS[name](item):
                    return (name, index), why
    if isinstance(converted, Entity | ToolDispatcher) and (problem := converted.problem()):
        return _key(problem[0]), problem[1]
    return None


def _key(dotted: str) -> Key:
    """Read what :meth:`Entity.problem` calls a field: ``conditions[1].value``."""
    return tuple(int(part) if part.isdecimal() else part for part in re.findall(r"[^.\[\]]+", dotted))


def _dotted(key: Key) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key).removeprefix(".")


def checked(settings: Settings) -> Settings:
    """Raise for settings that can't be together."""
    if settings.auth == "open" and not is_loopback(settings.host):
        raise SettingsError(
            f'{settings.place("auth")}auth = "open" lends the operator\'s keys to anyone, so it is for a loopback'
            f" bind only, not host = {settings.host!r}"
        )
    if not is_loopback(settings.console_host) and not settings.admin_token:
        raise SettingsError(
            f"{settings.place('console_host')}console_host = {settings.console_host!r} is not loopback:"
            " set GATEWAY_ADMIN_TOKEN, or bind it to 127.0.0.1"
        )
    for kind in DECLARABLE:
        first: dict[str, int] = {}
        for index, entity in enumerate(settings.declared[kind]):
            for name in {entity.id, entity.natural_key}:
                if first.setdefault(name, index) != index:
                    before = settings.place(kind, first[name]).removesuffix(": ")
                    raise SettingsError(
                        f"{settings.place(kind, index)}{kind}: {name!r} is declared twice, first at {before}"
                    )
    return settings
