"""The configuration file as a document, and the line on which each of its keys stands."""

import re
import tomllib
from pathlib import Path
from typing import Any

from gateway.settings.model import Key, Places, SettingsError

_START = re.compile(r"\s*(\[{0,2})([^\[\]=#]+)[\]=]")
"""A table's header, or the key of a value."""
_TEXT = re.compile(r'"""|\'\'\'')


def read(path: str) -> tuple[dict[str, Any], Places]:
    """Read a file and the places in it."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        return tomllib.loads(text), {(): path, **lines(path, text)}
    except OSError as error:
        raise SettingsError(f"{path}: can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None


def lines(path: str, text: str) -> Places:
    """Return the place of every key and table that starts a line."""
    places: Places = {}
    lasts: dict[Key, int] = {}  # of every array of tables: the number of its last one so far
    table: Key = ()
    inside = False  # of a text that goes over several lines
    for number, line in enumerate(text.split("\n"), 1):
        quotes = len(_TEXT.findall(line)) % 2 == 1
        match = None if inside else _START.match(line)
        inside ^= quotes
        names = _names(match[2]) if match else []
        if not match or not names:
            continue
        key: Key = () if match[1] else table
        for name in names:
            if key in lasts and match[1]:
                key = (*key, lasts[key])
            key = (*key, name)
            places.setdefault(key, f"{path}:{number}")
        if match[1] == "[[":
            lasts[key] = lasts.get(key, -1) + 1
            key = (*key, lasts[key])
            places[key] = f"{path}:{number}"
        table = key if match[1] else table
    return places


def _names(written: str) -> list[str]:
    """Return the parts of a dotted key; none for what is no key, as a line inside a list."""
    try:
        inner: Any = tomllib.loads(f"{written} = 0")
    except tomllib.TOMLDecodeError:
        return []
    names = []
    while isinstance(inner, dict) and inner:
        [(name, inner)] = inner.items()
        names.append(name)
    return names
