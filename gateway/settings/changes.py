"""What a running gateway takes over from changed settings, and what this version does not act on at all."""

from collections.abc import Iterator

import msgspec

from gateway.settings.model import DECLARABLE, Settings, Timeouts
from gateway.settings.verify import checked, suggest

_LIVE = ("auth", "default_agent", "default_policies", "dual_llm", "tool_dispatchers", *DECLARABLE)
"""Keys whose change takes effect at once."""
UNENFORCED = ("limits", "model_optimization_rules")
"""Kinds that are kept, and that this version does not enforce: whoever sets one up is told."""


def merged(running: Settings, changed: Settings) -> tuple[Settings, list[str]]:
    """Return the running settings with all that can change, and the keys that need a restart.

    Raises ``SettingsError`` for a change that can't be beside what stays: ``auth = "open"`` is judged by the
    address that is bound, not by the one that the file asks for now.
    """
    providers = dict(changed.providers)
    for name, own in providers.items():
        before = running.providers.get(name)
        providers[name] = msgspec.structs.replace(own, timeouts=before.timeouts if before else Timeouts())
    live = {name: getattr(changed, name) for name in _LIVE}
    result = msgspec.structs.replace(running, providers=providers, _places=changed._places, **live)  # noqa: SLF001  # its own
    restart = [
        name
        for name in Settings.__struct_fields__
        if name != "_places" and getattr(result, name) != getattr(changed, name)
    ]
    return checked(result), restart


def without_effect(settings: Settings) -> Iterator[str]:
    """Return a sentence for everything that is set and has no effect in this version."""
    for name in UNENFORCED:
        if count := len(getattr(settings, name)):
            yield f"{settings.place(name, 0)}{name}: {count} kept, but NOT enforced by this version"
    yield from _for_nobody(settings)
    for name, default in (
        ("workers", 1),
        ("counters_url", "memory:"),
        ("on_disconnect", "abort"),
    ):
        if getattr(settings, name) != default:
            yield f"{settings.place(name)}{name}: kept, but without effect in this version"
    for name, own in settings.providers.items():
        for key in ("fallbacks", "on_disconnect"):
            if getattr(own, key):
                yield f"{settings.place('providers', name, key)}providers.{name}.{key}: kept, but without effect in this version"


def _for_nobody(settings: Settings) -> Iterator[str]:
    """Return a sentence for every policy whose agents or teams are not declared: a name that is mistyped protects nobody."""
    for kind in ("tool_invocation_policies", "trusted_data_policies"):
        for number, policy in enumerate(getattr(settings, kind)):
            for field in ("agents", "teams"):
                declared = getattr(settings, field)
                known = {name for one in declared for name in (one.id, one.slug)}
                if field == "agents":
                    known.add(settings.default_agent)
                for name in getattr(policy, field):
                    if name not in known:
                        yield (
                            f"{settings.place(kind, number, field)}{kind}: {field[:-1]} {name!r} is not declared here; "
                            f"unless it is created through the API, the policy is not for it{suggest(name, known)}"
                        )
