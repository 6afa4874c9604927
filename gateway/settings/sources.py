"""Where settings come from: command line, environment, file; and the secrets that they point to."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec

from gateway.settings.document import read
from gateway.settings.model import Places, Settings, SettingsError
from gateway.settings.verify import checked, decode, is_table, kinds, suggest, verify

PREFIX = "GATEWAY_"
FILE = "gateway.toml"
"""What is read if no other file is named, and this one is there."""
_SECRETS = ("admin_token", "database_url", "secret_key")
"""Keys whose value may be in a file of its own: ``GATEWAY_ADMIN_TOKEN_FILE``."""
_JSON_LIST = re.compile(r'\s*\[\s*["\]]')
_BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"))
_texts = msgspec.json.Decoder(tuple[str, ...])
_NEVER_BLANK = ("admin_token", "secret_key")
"""A secret that is there and empty would guard nothing."""


def load(
    file: str | None = None,
    environment: Mapping[str, str] | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> Settings:
    """Read all sources; ``file``: a path that must exist, else ``gateway.toml`` if it is there."""
    env = os.environ if environment is None else environment
    path = file or env.get("GATEWAY_CONFIG") or ""
    if not path and Path(FILE).is_file():
        path = FILE
    document, places = read(path) if path else ({}, {})
    _resolve(document, env, places)
    verify(document, Settings, places)  # a mistake in the file is one, even if the environment overrides it
    given = ((key, f"--{key.replace('_', '-')}", value) for key, value in (arguments or {}).items())
    for key, place, value in (*_variables(env), *given):
        if value is not None:
            parts = tuple(key.split("."))
            section = document.setdefault(parts[0], {}) if parts[1:] else document
            section[parts[-1]] = value
            places[parts] = place
    verify(document, Settings, places)
    settings = msgspec.convert(document, Settings, strict=False, dec_hook=decode)
    return checked(msgspec.structs.replace(settings, _places=places))


def _resolve(document: dict[str, Any], env: Mapping[str, str], places: Places) -> None:
    """Put the secrets in the place of what points to them."""
    for key in _SECRETS:
        value = document.get(key)
        if not isinstance(value, str):
            continue
        place = f"{places[(key,)]}: " if (key,) in places else ""
        if value.startswith(("env:", "file:")) or key == "secret_key":
            document[key] = value = read_secret(value, env, f"{place}{key}: ")
        if key in _NEVER_BLANK and not value.strip():
            raise SettingsError(f"{place}{key}: it is blank; write one, or leave the key out")


def keys() -> Iterator[str]:
    """Return every key that is a single value, dotted."""
    for name, kind in kinds(Settings).items():
        if is_table(kind):
            yield from (f"{name}.{key}" for key in kinds(kind))
        elif not any(map(is_table, get_args(kind))):
            yield name


def variable(key: str) -> str:
    """Return the name that a key has in the environment."""
    return PREFIX + key.upper().replace(".", "_").replace("-", "_")


def _variables(env: Mapping[str, str]) -> Iterator[tuple[str, str, Any]]:
    """Return every key that the environment sets, with the variable's name and its value."""
    for key in keys():
        name = variable(key)
        value = env.get(name)
        if key in _SECRETS and (file := env.get(f"{name}_FILE")):
            name = f"{name}_FILE"
            value = read_secret(f"file:{file}", env, f"{name}: ")
        if value is None or (key == "port" and value.startswith("tcp://")):
            continue
        if key in _SECRETS:
            value = value.strip()
        if key in _NEVER_BLANK and not value:
            raise SettingsError(f"{name}: it is blank; give it a value, or unset it")
        yield key, name, _split(value, name) if _is_list(key) else value


def _is_list(key: str) -> bool:
    section, _, name = key.rpartition(".")
    table = kinds(Settings)[section] if section else Settings
    return get_origin(kinds(table)[name]) is tuple


def _split(value: str, name: str) -> list[str]:
    """Read a list: JSON, or texts separated by commas."""
    if _JSON_LIST.match(value):
        try:
            return list(_texts.decode(value))
        except msgspec.DecodeError:
            raise SettingsError(
                f'{name}: it begins like a JSON list of texts, ["one", "two"], and is none'
            ) from None
    parts = [part.strip() for part in value.split(",") if part.strip()]
    for part in parts:
        if any(part.count(opening) != part.count(closing) for opening, closing in _BRACKETS):
            raise SettingsError(
                f'{name}: commas separate, and one of them cuts brackets apart; write a JSON list: ["one", "two"]'
            )
    return parts


def unknown_variables(env: Mapping[str, str], providers: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Return every ``GATEWAY_*`` variable that means nothing, with the name that may be meant."""
    known = {variable(key) for key in keys()} | {variable(key) + "_FILE" for key in _SECRETS}
    known.add("GATEWAY_CONFIG")
    for name in providers:
        known.update(variable(f"{name}.{key}") for key in ("base_url", "api_key", "api_key_file"))
    for name in env:
        if name.startswith(PREFIX) and name not in known:
            yield name, suggest(name, known)


def read_secret(reference: str, env: Mapping[str, str], place: str = "") -> str:
    """Return the secret that ``env:NAME`` or ``file:path`` points to; empty if there is none."""
    kind, _, where = reference.partition(":")
    if kind == "env":
        return env.get(where, "").strip()
    if kind == "file":
        try:
            return Path(where).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{place}the secret file {where} can't be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SettingsError(f"{place}the secret file {where} isn't text") from None
    raise SettingsError(f'{place}a secret is written as "env:NAME" or "file:path", never in the file itself')
