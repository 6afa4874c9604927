"""One frozen struct of settings from the command line, ``GATEWAY_*`` variables and ``gateway.toml``.

Precedence: command line, environment, file, default. The environment's name of a key is ``GATEWAY_`` and the
key in capitals, with ``_`` for the dot. A key or value that can't be is an error that names the line, variable or
option it stands in; an unknown variable only warns, since orchestrators inject their own.
"""

from gateway.settings.changes import UNENFORCED, merged, without_effect
from gateway.settings.model import (
    DECLARABLE,
    Drain,
    Log,
    ProviderSettings,
    Record,
    Settings,
    SettingsError,
    Timeouts,
    is_loopback,
)
from gateway.settings.providers import key_references, provider_overrides
from gateway.settings.sources import FILE, keys, load, read_secret, unknown_variables
from gateway.settings.verify import suggest

__all__ = [
    "DECLARABLE",
    "FILE",
    "UNENFORCED",
    "Drain",
    "Log",
    "ProviderSettings",
    "Record",
    "Settings",
    "SettingsError",
    "Timeouts",
    "is_loopback",
    "key_references",
    "keys",
    "load",
    "merged",
    "provider_overrides",
    "read_secret",
    "suggest",
    "unknown_variables",
    "without_effect",
]
