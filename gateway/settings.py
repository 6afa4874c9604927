"""One frozen struct of settings from the command line, ``GATEWAY_*`` variables and ``gateway.toml``.

Precedence: command line, environment, file, default. The environment's name of a key is ``GATEWAY_`` and the
key in capitals, with ``_`` for the dot. A key or value that can't be is an error that names the line, variable or
option it stands in; an unknown variable only warns, since orchestrators inject their own.
"""

import difflib
import math
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from gateway.core.provider import Overrides


class Size(int):
    """A number of bytes; written as a number, or as ``32 MiB``."""


_Places = dict[tuple[str, ...], str]
"""Where a key was written: a line of the file, a variable or an option; under ``()``: the file."""

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
    prices: str = ""
    """Whose list prices apply: a provider's id in ``genai-prices``."""
    token_factor: float = 0.0
    """Tokens of its models in one of the gateway's own count; 0: as the row says."""
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
    console: bool = True
    """Whether the console is served; health is in any case."""
    console_host: str = "127.0.0.1"
    console_port: int = 9001
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
    _places: _Places = {}

    def place(self, *key: str) -> str:
        """Return where a key was written, as the beginning of what is said of it."""
        return _place(self._places, key)


class SettingsError(Exception):
    """A setting that can't be; the message says where, and what to write instead."""


_PREFIX = "GATEWAY_"
_SECRETS = ("admin_token",)
_BASE_URL = re.compile(
    r"https?://(\w[\w.-]*|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{1,5}))?(/[a-z0-9._~!$&'()*+,;=:@%/-]*)?",
    re.IGNORECASE,
)


def _is_base_url(value: str) -> bool:
    found = _BASE_URL.fullmatch(value)
    return not value or (found is not None and 0 < int(found["port"] or 80) < 1 << 16)


def _is_reference(value: str) -> bool:
    return not value or re.fullmatch(r"(env|file):.+", value) is not None


def _is_duration(value: float | None) -> bool:
    return value is None or 0 <= value < math.inf


_Rule = tuple[Callable[[Any], bool], str]
_PORT: _Rule = (lambda value: 0 <= value < 1 << 16, "a port is a number from 0 to 65535")
_DURATION: _Rule = (_is_duration, "a duration is a finite number of seconds, not below 0")
_RULES: dict[str, _Rule] = {
    "port": _PORT,
    "console_port": _PORT,
    "base_url": (
        _is_base_url,
        "a base URL is http(s)://host[:port][/path], without user, query and fragment",
    ),
    "api_key": (_is_reference, 'write "env:NAME" or "file:path", never the secret itself'),
    "client_stall": _DURATION,
    "keepalive": _DURATION,
    **dict.fromkeys((*Timeouts.__struct_fields__, *Drain.__struct_fields__), _DURATION),
}
"""What a value must hold beyond its type, by the last part of its key, and what is said otherwise."""


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
    document, places = _read(path) if path else ({}, {})
    _verify(document, Settings, places)  # a mistake in the file is one, even if the environment overrides it
    given = ((key, f"--{key.replace('_', '-')}", value) for key, value in (arguments or {}).items())
    for key, place, value in (*_variables(env), *given):
        if value is not None:
            parts = tuple(key.split("."))
            section = document.setdefault(parts[0], {}) if parts[1:] else document
            section[parts[-1]] = value
            places[parts] = place
    _verify(document, Settings, places)
    settings = msgspec.convert(document, Settings, strict=False, dec_hook=_decode)
    return _checked(msgspec.structs.replace(settings, _places=places))


def _read(path: str) -> tuple[dict[str, Any], _Places]:
    try:
        text = Path(path).read_text(encoding="utf-8")
        return tomllib.loads(text), {(): path, **_lines(path, text)}
    except OSError as error:
        raise SettingsError(f"{path}: can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None


def keys() -> Iterator[str]:
    """Return every key that is a single value, dotted."""
    for name, kind in _kinds(Settings).items():
        if isinstance(kind, type) and issubclass(kind, _Section):
            yield from (f"{name}.{key}" for key in _kinds(kind))
        elif name != "providers":
            yield name


def _variable(key: str) -> str:
    return _PREFIX + key.upper().replace(".", "_").replace("-", "_")


def _variables(env: Mapping[str, str]) -> Iterator[tuple[str, str, Any]]:
    """Return every key that the environment sets, with the variable's name and its value."""
    for key in keys():
        name = _variable(key)
        value = env.get(name)
        if key in _SECRETS and (file := env.get(f"{name}_FILE")):
            name = f"{name}_FILE"
            value = read_secret(f"file:{file}", env, f"{name}: ")
        if value is None or (key == "port" and value.startswith("tcp://")):
            continue
        hosts = [host.strip() for host in value.split(",") if host.strip()]
        yield key, name, hosts if key == "allowed_hosts" else value


def unknown_variables(env: Mapping[str, str], providers: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Return every ``GATEWAY_*`` variable that means nothing, with the name that may be meant."""
    known = {_variable(key) for key in keys()} | {_variable(key) + "_FILE" for key in _SECRETS}
    known.add("GATEWAY_CONFIG")
    for name in providers:
        known.update(_variable(f"{name}.{key}") for key in ("base_url", "api_key", "api_key_file"))
    for name in env:
        if name.startswith(_PREFIX) and name not in known:
            yield name, _suggest(name, known)


def provider_overrides(
    settings: Settings, known: Iterable[str], env: Mapping[str, str]
) -> dict[str, Overrides]:
    """Return what file and environment change of the ``known`` providers, and the rows that they add."""
    names = [*known]
    overrides = {}
    for name in dict.fromkeys((*settings.providers, *names)):
        own = settings.providers.get(name, ProviderSettings())
        variable = _variable(f"{name}.base_url")
        base_url = env.get(variable) or own.base_url
        if not _is_base_url(base_url):
            raise SettingsError(f"{variable}: {_RULES['base_url'][1]}")
        place = settings.place("providers", name)
        if not own.like and name not in names:
            raise SettingsError(
                f"{place}unknown provider {name!r}; a new one says which it is like and where, "
                f'like = "openai" and base_url = "http://…"{_suggest(name, names)}'
            )
        if own.like and own.like not in names:
            raise SettingsError(
                f"{settings.place('providers', name, 'like')}provider {name!r} is like {own.like!r}, "
                f"which is none of {', '.join(sorted(names))}{_suggest(own.like, names)}"
            )
        if own.like and not base_url:
            raise SettingsError(f'{place}provider {name!r} needs a base_url: base_url = "http://…"')
        names.append(name)
        if name in settings.providers or base_url:
            overrides[name] = msgspec.structs.replace(own, base_url=base_url).overrides()
    return overrides


def key_references(name: str, settings: Settings, env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Return where an operator says that a provider's key is, the first wins: what says so, and the reference."""
    variable = _variable(f"{name}.api_key")
    if file := env.get(f"{variable}_FILE"):
        yield f"{variable}_FILE: ", f"file:{file}"
    elif env.get(variable):
        yield f"{variable}: ", f"env:{variable}"
    if name in settings.providers and (reference := settings.providers[name].api_key):
        yield settings.place("providers", name, "api_key"), reference


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


def _decode(kind: type, value: Any) -> Any:
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]+)?)\s*([A-Za-z]*)", str(value))
    if kind is not Size or not match or match[2].lower() not in _UNITS:
        raise ValueError("a size is a number of bytes, or text like '32 MiB'")
    return Size(float(match[1]) * _UNITS[match[2].lower()])


def _kinds(section: type[_Section]) -> dict[str, Any]:
    """Return the type of every key that may be written in a section."""
    return {f.name: f.type for f in msgspec.structs.fields(section) if not f.name.startswith("_")}


def _verify(value: Any, kind: Any, places: _Places, key: tuple[str, ...] = ()) -> None:
    """Raise for the first key that means nothing, and for the first value that can't be."""
    kinds = None
    if isinstance(value, dict) and get_origin(kind) is dict:
        kinds = dict.fromkeys(value, get_args(kind)[1])
    elif isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, _Section):
        kinds = _kinds(kind)
    if kinds is not None:
        for name, inner in value.items():
            path = (*key, name)
            if name not in kinds:
                wrong = f"unknown key {'.'.join(path)!r}{_suggest(name, kinds)}"
                raise SettingsError(_place(places, path) + wrong)
            _verify(inner, kinds[name], places, path)
    elif wrong := _complaint(value, kind, key[-1]):
        raise SettingsError(f"{_place(places, key)}{'.'.join(key)}: {wrong}")


def _complaint(value: Any, kind: Any, name: str) -> str:
    """Return what is wrong with a single value; empty: nothing."""
    try:
        converted = msgspec.convert(value, kind, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        if get_origin(kind) is Literal:
            choices = [choice for choice in get_args(kind) if choice]
            return f"{value!r} is none of {', '.join(choices)}{_suggest(str(value), choices)}"
        said = str(error).partition(" - at ")[0].replace("`", "")
        return said.replace(" | null", "").replace("object", "table")
    holds, otherwise = _RULES.get(name, (None, ""))
    return "" if holds is None or holds(converted) else otherwise


def _place(places: _Places, key: tuple[str, ...]) -> str:
    """Return where a key was written, or else the table that it would be in."""
    ends = range(len(key), -1, -1)
    return next((f"{places[key[:end]]}: " for end in ends if key[:end] in places), "")


def _suggest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _lines(path: str, text: str) -> _Places:
    """Return the place of every key and table that starts a line."""
    places: _Places = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), 1):
        if not (match := re.match(r"\s*(\[{0,2})([^\[\]=#]+)[\]=]", line)):
            continue
        try:
            inner: Any = tomllib.loads(f"{match[2]} = 0")
        except tomllib.TOMLDecodeError:  # a line inside a text or a list
            continue
        key = () if match[1] else table
        while isinstance(inner, dict):
            [(name, inner)] = inner.items()
            key = (*key, name)
            places.setdefault(key, f"{path}:{number}")
        table = key if match[1] else table
    return places


def _checked(settings: Settings) -> Settings:
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
    return settings


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own."""
    return host in ("localhost", "::1", "[::1]") or bool(re.fullmatch(r"127(\.\d{1,3}){3}", host))
