"""The settings as structs: every key, its type and its default."""

import os
import re
from pathlib import Path
from typing import Literal

import msgspec

from gateway.core.dispatch import ToolDispatcher
from gateway.core.dual_llm import DualLlm
from gateway.core.entities import (
    Agent,
    Limit,
    ModelOptimizationRule,
    Price,
    Team,
    ToolInvocationPolicy,
    TrustedDataPolicy,
    User,
    VirtualKey,
)
from gateway.core.provider import Overrides
from gateway.core.rules import NO_DEFAULTS, DefaultPolicies
from gateway.core.snapshot import AuthMode, Entities

Key = tuple[str | int, ...]
"""Where a value is in the settings; a number is a place in a list."""
Places = dict[Key, str]
"""Where a key was written: a line of the file, a variable or an option; under ``()``: the file."""


class SettingsError(Exception):
    """A setting that can't be; the message says where, and what to write instead."""


class Size(int):
    """A number of bytes; written as a number, or as ``32 MiB``."""


class Span(float):
    """A number of seconds; written as a number, or as ``30 d``."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of ``gateway.toml``."""


class Timeouts(Section, frozen=True, kw_only=True):
    """Seconds; ``None`` for the default, ``0`` for no limit."""

    connect: float | None = None
    first_byte: float | None = None
    gap: float | None = None
    total: float | None = None


class Drain(Section, frozen=True, kw_only=True):
    """What happens on SIGTERM, in seconds."""

    accept: float = 5.0
    """New connections are still accepted, while readiness already fails."""
    finish: float = 30.0
    """Answers in flight may finish."""


class Record(Section, frozen=True, kw_only=True):
    """What is kept of requests and answers."""

    bodies: bool = True
    body_limit: Size = Size(1 << 20)
    """Of one stored message."""
    retention: Span = Span(30 * 86400)
    """How long bodies are kept, 0: for ever; accounting rows stay."""
    redact: tuple[str, ...] = ()
    """JSON paths and patterns of what is not stored."""


class Log(Section, frozen=True, kw_only=True):
    """The log on standard output."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"
    """``auto``: for people on a terminal, JSON elsewhere."""


class ProviderSettings(Section, frozen=True, kw_only=True, omit_defaults=True):
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
    fallbacks: tuple[str, ...] = ()
    """Providers to turn to. Not used yet."""
    on_disconnect: Literal["", "abort", "drain"] = ""
    """Not used yet."""

    def overrides(self) -> Overrides:
        """Return the part that changes a provider's data."""
        names = Overrides.__struct_fields__
        return Overrides(**{name: getattr(self, name) for name in names})


def _default_state_dir() -> str:
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return str(Path(home) / "llm-gateway")


class Settings(Section, frozen=True, kw_only=True):
    """Everything that an operator can set."""

    host: str = "127.0.0.1"
    port: int = 9000
    console: bool = True
    """Whether the console is served; health is in any case."""
    console_host: str = "127.0.0.1"
    console_port: int = 9001
    console_hosts: tuple[str, ...] = ()
    """Names under which the console is reached, beside its address and loopback."""
    allowed_hosts: tuple[str, ...] = ()
    auth: AuthMode = "passthrough"
    admin_token: str = ""
    state_dir: str = msgspec.field(default_factory=_default_state_dir)
    database_url: str = ""
    """Empty: a file in ``state_dir``."""
    counters_url: str = "memory:"
    """Not used yet: nothing counts."""
    secret_key: str = ""
    """Encrypts provider secrets; empty: a file in ``state_dir``, made at the first start."""
    workers: int = 1
    """Not used yet: there is one."""
    body_limit: Size = Size(32 << 20)
    opaque_body_limit: Size = Size(512 << 20)
    event_limit: Size = Size(16 << 20)
    hold_limit: Size = Size(4 << 20)
    timeouts: Timeouts = Timeouts()
    client_stall: float = 60.0
    keepalive: float = 10.0
    drain: Drain = Drain()
    on_disconnect: Literal["abort", "drain"] = "abort"
    """Not used yet: when a client goes, its request is aborted."""
    record: Record = Record()
    log: Log = Log()
    default_agent: str = "default"
    default_policies: DefaultPolicies = NO_DEFAULTS
    tool_dispatchers: tuple[ToolDispatcher, ...] = ()
    """Tools that call other tools, so that policies on those are not slipped past."""
    dual_llm: DualLlm = DualLlm()
    providers: dict[str, ProviderSettings] = {}
    agents: tuple[Agent, ...] = ()
    teams: tuple[Team, ...] = ()
    users: tuple[User, ...] = ()
    virtual_keys: tuple[VirtualKey, ...] = ()
    tool_invocation_policies: tuple[ToolInvocationPolicy, ...] = ()
    trusted_data_policies: tuple[TrustedDataPolicy, ...] = ()
    limits: tuple[Limit, ...] = ()
    model_optimization_rules: tuple[ModelOptimizationRule, ...] = ()
    prices: tuple[Price, ...] = ()
    _places: Places = {}

    def __repr__(self) -> str:
        """Tell no secret."""
        return f"<Settings {self._places.get((), '')}>"

    @property
    def file(self) -> str:
        """The configuration file that was read; empty: none."""
        return self._places.get((), "")

    @property
    def database(self) -> str:
        """The URL of the database. May hold a password: never logged."""
        return self.database_url or f"sqlite+aiosqlite:///{Path(self.state_dir).absolute()}/gateway.db"

    @property
    def declared(self) -> Entities:
        """The entities that the file declares, by kind."""
        return {kind: tuple(entity.as_declared() for entity in getattr(self, kind)) for kind in DECLARABLE}

    def place(self, *key: str | int) -> str:
        """Return where a key was written, as the beginning of what is said of it."""
        return placed(self._places, key)


DECLARABLE = (
    "agents",
    "teams",
    "users",
    "virtual_keys",
    "tool_invocation_policies",
    "trusted_data_policies",
    "limits",
    "model_optimization_rules",
    "prices",
)
"""The kinds of entities that the file may hold."""


def placed(places: Places, key: Key) -> str:
    """Return where a key was written, or else the table that it would be in."""
    ends = range(len(key), -1, -1)
    return next((f"{places[key[:end]]}: " for end in ends if key[:end] in places), "")


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own."""
    return host in ("localhost", "::1", "[::1]") or bool(re.fullmatch(r"127(\.\d{1,3}){3}", host))
