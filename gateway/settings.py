"""One frozen struct of settings from the command line, ``GATEWAY_*`` variables and ``gateway.toml``.

Precedence: command line, environment, file, default. The environment's name of a key is ``GATEWAY_`` and the
key in capitals, with ``_`` for the dot. An unknown key in the file is an error with its line and a suggestion;
an unknown variable only warns, since orchestrators inject their own.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from gateway.core.provider import Overrides


class Size(int):
    """A number of bytes; written as a number, or as ``32 MiB``."""


_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "kb": 1000, "mb": 10**6, "gb": 10**9}


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of ``gateway.toml``."""


class Timeouts(_Section, frozen=True, kw_only=True):
    """Seconds; ``None`` for the default, ``0`` for no limit."""

    connect: float | None = None
    first_byte: float | None = None
    gap: float | None = None
    total: float | None = None


class Drain(_Section, frozen=True, kw_only=True):
    """What happens on SIGTERM, in seconds."""

    accept: float = 5.0
    """New connections are still accepted, while readiness already fails."""
    finish: float = 30.0
    """Answers in flight may finish."""


class Log(_Section, frozen=True, kw_only=True):
    """The log on standard output."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"
    """``auto``: for people on a terminal, JSON elsewhere."""


class ProviderSettings(_Section, frozen=True, kw_only=True, omit_defaults=True):
    """What an operator says of one provider, or of a new row."""

    like: str = ""
    base_url: str = ""
    name: str = ""
    api_key: str = ""
    """``env:NAME`` or ``file:path``; never a bare secret."""
    key_variables: tuple[str, ...] = ()
    key_page: str = ""
    models_path: str = ""
    forward_unlisted: bool | None = None
    stream_usage: Literal["", "ask", "always", "never"] = ""
    timeouts: Timeouts = Timeouts()

    def overrides(self) -> Overrides:
        """Return the part that changes a provider's data."""
        names = Overrides.__struct_fields__
        return Overrides(**{name: getattr(self, name) for name in names})


def _default_state_dir() -> str:
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return str(Path(home) / "llm-gateway")


class Settings(_Section, frozen=True, kw_only=True):
    """Everything that an operator can set."""

    host: str = "127.0.0.1"
    port: int = 9000
    console_host: str = "127.0.0.1"
    console_port: int = 9001
    console_hosts: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    auth: Literal["passthrough", "required", "open"] = "passthrough"
    admin_token: str = ""
    state_dir: str = msgspec.field(default_factory=_default_state_dir)
    body_limit: Size = Size(32 << 20)
    opaque_body_limit: Size = Size(512 << 20)
    event_limit: Size = Size(16 << 20)
    hold_limit: Size = Size(4 << 20)
    timeouts: Timeouts = Timeouts()
    client_stall: float = 60.0
    keepalive: float = 10.0
    drain: Drain = Drain()
    log: Log = Log()
    default_agent: str = "default"
    providers: dict[str, ProviderSettings] = {}


class SettingsError(Exception):
    """A setting that can't be; the message says where, and what to write instead."""


_PREFIX = "GATEWAY_"
_SECRETS = ("admin_token",)


def load(
    file: str | None = None,
    environment: Mapping[str, str] | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> Settings:
    """Read all sources; ``file``: a path that must exist, else ``gateway.toml`` if it is there."""
    env = os.environ if environment is None else environment
    path = file or env.get("GATEWAY_CONFIG") or ""
    if not path and Path("gateway.toml").is_file():
        path = "gateway.toml"
    document, text = _read(path) if path else ({}, "")
    _convert(document, path, text)  # a mistake in the file is reported as the file's
    for key, value in _variables(env):
        _put(document, key, value)
    for key, value in (arguments or {}).items():
        if value is not None:
            _put(document, key, value)
    return _checked(_convert(document, "", ""))


def _read(path: str) -> tuple[dict[str, Any], str]:
    try:
        text = Path(path).read_text(encoding="utf-8")
        return tomllib.loads(text), text
    except OSError as error:
        raise SettingsError(f"{path}: can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None


def keys() -> Iterator[str]:
    """Return every key that is a single value, dotted."""
    for field in msgspec.structs.fields(Settings):
        if isinstance(field.type, type) and issubclass(field.type, _Section):
            yield from (f"{field.name}.{sub}" for sub in field.type.__struct_fields__)
        elif field.name != "providers":
            yield field.name


def _variable(key: str) -> str:
    return _PREFIX + key.upper().replace(".", "_").replace("-", "_")


def _variables(env: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for key in keys():
        name = _variable(key)
        value = env.get(name)
        if key in _SECRETS and (file := env.get(f"{name}_FILE")):
            value = read_secret(f"file:{file}", env)
        if value is None or (key == "port" and value.startswith("tcp://")):
            continue
        yield key, value.split(",") if key.endswith("_hosts") else value


def unknown_variables(env: Mapping[str, str], providers: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Return every ``GATEWAY_*`` variable that means nothing, with the name that may be meant."""
    known = {_variable(key) for key in keys()} | {_variable(key) + "_FILE" for key in _SECRETS}
    known.add("GATEWAY_CONFIG")
    for name in providers:
        known.update(_variable(f"{name}.{key}") for key in ("base_url", "api_key", "api_key_file"))
    for name in env:
        if name.startswith(_PREFIX) and name not in known:
            yield name, _suggest(name, known)


def provider_variables(name: str, env: Mapping[str, str]) -> ProviderSettings:
    """Return what the environment says of one provider."""
    key = _variable(name)
    secret = f"env:{key}_API_KEY" if env.get(f"{key}_API_KEY") else ""
    if file := env.get(f"{key}_API_KEY_FILE"):
        secret = f"file:{file}"
    return ProviderSettings(base_url=env.get(f"{key}_BASE_URL", ""), api_key=secret)


def read_secret(reference: str, env: Mapping[str, str]) -> str:
    """Return the secret that ``env:NAME`` or ``file:path`` points to; empty if there is none."""
    kind, _, where = reference.partition(":")
    if kind == "env":
        return env.get(where, "").strip()
    if kind == "file":
        try:
            return Path(where).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"the secret file {where} can't be read: {error.strerror}") from None
    raise SettingsError('a secret is written as "env:NAME" or "file:path", never in the file itself')


def _put(document: dict[str, Any], key: str, value: Any) -> None:
    section, _, name = key.rpartition(".")
    target = document.setdefault(section, {}) if section else document
    target[name] = value


def _decode(kind: type, value: Any) -> Any:
    match = re.fullmatch(r"([0-9.]+)\s*([A-Za-z]*)", str(value))
    if kind is not Size or not match or match[2].lower() not in _UNITS:
        raise ValueError("a size is a number of bytes, or text like '32 MiB'")
    return Size(float(match[1]) * _UNITS[match[2].lower()])


def _convert(document: dict[str, Any], path: str, text: str) -> Settings:
    for key, known in _unknown_keys(document, Settings):
        name = ".".join(key)
        raise SettingsError(f"{_place(path, text, key)}unknown key {name!r}{_suggest(key[-1], known)}")
    try:
        return msgspec.convert(document, Settings, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        what, _, where = str(error).replace("`", "").partition(" - at $")
        parts = [part for part in where.replace("[...]", "").split(".") if part]
        said = f"{'.'.join(parts)}: {what}" if parts else what
        raise SettingsError(_place(path, text, parts) + said) from None


def _unknown_keys(
    table: Any, kind: Any, parents: list[str] | None = None
) -> Iterator[tuple[list[str], list[str]]]:
    """Return every key that means nothing, as a path, with the keys that would mean something there."""
    if not isinstance(table, dict):
        return
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in table.items():
        path = [*(parents or []), key]
        inner = fields.get(key)
        if key not in fields:
            yield path, list(fields)
        elif isinstance(inner, type) and issubclass(inner, _Section):
            yield from _unknown_keys(value, inner, path)
        elif key == "providers" and isinstance(value, dict):
            for name, provider in value.items():
                yield from _unknown_keys(provider, ProviderSettings, [*path, name])


def _place(path: str, text: str, key: list[str]) -> str:
    line = _line_of(text, key) if key else 0
    return f"{path}:{line}: " if line else f"{path}: " if path else ""


def _suggest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _line_of(text: str, keys_: list[str]) -> int:
    """Return the line, from 1, on which a key is written; 0 if it can't be found."""
    section: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line):
            section = [part.strip(" \"'") for part in header[1].split(".")]
            if section == keys_:
                return number
            continue
        pair = re.match(r"\s*([\w.\"'-]+)\s*=", line)
        if pair and [*section, *(part.strip(" \"'") for part in pair[1].split("."))] == keys_:
            return number
    return _line_of(text, keys_[:-1]) if len(keys_) > 1 else 0


def _checked(settings: Settings) -> Settings:
    for name in ("port", "console_port"):
        if not 0 <= getattr(settings, name) <= 65535:
            raise SettingsError(f"{name}: a port is a number from 0 to 65535")
    if settings.auth == "open" and not is_loopback(settings.host):
        raise SettingsError(
            f'auth = "open" lends the operator\'s keys to anyone, so it is for a loopback bind only, not {settings.host}'
        )
    if not is_loopback(settings.console_host) and not settings.admin_token:
        raise SettingsError(
            f"console_host = {settings.console_host!r} is not loopback: set GATEWAY_ADMIN_TOKEN, or bind it to 127.0.0.1"
        )
    for name, provider in settings.providers.items():
        if provider.api_key and not provider.api_key.startswith(("env:", "file:")):
            raise SettingsError(
                f'providers.{name}.api_key: write "env:NAME" or "file:path", never the secret itself'
            )
    return settings


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own."""
    return host in ("localhost", "::1", "[::1]") or bool(re.fullmatch(r"127(\.\d{1,3}){3}", host))
