"""The only code that knows wire formats, and how a format is added.

A provider is one module here, one module of narrow structs in ``schemas/`` and one folder of fixtures in
``tests/fixtures/``; nothing else is edited.

1. ``schemas/acme.py``: ``msgspec`` structs with the fields that the adapters read, wide (``type: str`` and
   optional fields) rather than tagged unions, which reject tomorrow's tag.
2. ``gateway/providers/acme.py``: a :class:`~gateway.core.adapter.RequestAdapter` and a
   :class:`~gateway.core.adapter.ResponseAdapter` per format, and a :class:`~gateway.core.provider.Provider`
   with its endpoints under ``@provider("acme", base_url=…)``. Of a conversation the request's adapter reads only
   one element (``parse_message``), and what stands elsewhere (``preamble``); the core does the rest.
3. ``tests/fixtures/acme/<case>/``: the exact bytes of a request and of its answer, and the view of them; the
   contract in ``gateway/testing.py`` runs over all of them.

A provider that differs only in data is a row in ``compatible.toml``, or in an operator's settings. A package
of a third party registers its module under the entry-point group ``gateway.providers``.
"""

import importlib
import pkgutil
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files

import msgspec

from gateway.core.provider import Overrides, Providers

_ENTRY_POINTS = "gateway.providers"


def load(overrides: dict[str, Overrides] | None = None, *, plugins: bool = False) -> Providers:
    """Import every provider's module and return the registry; ``plugins``: installed packages' too."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    if plugins:
        for plugin in entry_points(group=_ENTRY_POINTS):
            _load_plugin(plugin)
    rows = msgspec.toml.decode(
        files(__name__).joinpath("compatible.toml").read_bytes(), type=dict[str, Overrides]
    )
    return Providers((rows, overrides or {}))


def _load_plugin(plugin: EntryPoint) -> None:
    try:
        plugin.load()
    except Exception as error:
        package = plugin.dist.name if plugin.dist else "unknown"
        raise ValueError(
            f"the plugin {plugin.name!r} ({plugin.value}, of the package {package}) can't be loaded: "
            f"{type(error).__name__}: {error}"
        ) from error
