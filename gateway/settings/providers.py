"""What file and environment say of providers: how they differ, and where the operator's own keys are."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from gateway.core.provider import Overrides
from gateway.settings.model import Key, ProviderSettings, Settings, SettingsError
from gateway.settings.sources import variable
from gateway.settings.verify import BASE_URL, is_base_url, suggest


def provider_overrides(
    settings: Settings, known: Iterable[str], env: Mapping[str, str]
) -> dict[str, Overrides]:
    """Return what file and environment change of the ``known`` providers, and the rows that they add."""
    names = [*known]
    overrides = {}
    for name in dict.fromkeys((*settings.providers, *names)):
        own = settings.providers.get(name, ProviderSettings())
        base_url = env.get(variable(f"{name}.base_url")) or own.base_url
        if not is_base_url(base_url):
            raise SettingsError(f"{variable(f'{name}.base_url')}: {BASE_URL}")
        place = settings.place("providers", name)
        if not own.like and name not in names:
            raise SettingsError(
                f"{place}unknown provider {name!r}; a new one says which it is like and where, "
                f'like = "openai" and base_url = "http://…"{suggest(name, names)}'
            )
        if own.like and own.like not in names:
            raise SettingsError(
                f"{settings.place('providers', name, 'like')}provider {name!r} is like {own.like!r}, "
                f"which is none of {', '.join(sorted(names))}{suggest(own.like, names)}"
            )
        if own.like and not base_url:
            raise SettingsError(f'{place}provider {name!r} needs a base_url: base_url = "http://…"')
        names.append(name)
        if name in settings.providers or base_url:
            overrides[name] = msgspec.structs.replace(own, base_url=base_url).overrides()
    _check_names(settings, names)
    return overrides


def _check_names(settings: Settings, known: list[str]) -> None:
    """Raise for a provider that is named and not there."""
    named: list[tuple[Key, str]] = [
        *(
            (("providers", p, "fallbacks"), name)
            for p, own in settings.providers.items()
            for name in own.fallbacks
        ),
        *(
            (("virtual_keys", n, "providers"), name)
            for n, k in enumerate(settings.virtual_keys)
            for name in k.providers
        ),
        *((("prices", n, "provider"), price.provider) for n, price in enumerate(settings.prices)),
        *(
            (("model_optimization_rules", n, "provider"), rule.provider)
            for n, rule in enumerate(settings.model_optimization_rules)
        ),
        *(
            (("dual_llm", field), model.partition("/")[0])
            for field in ("main_model", "quarantined_model")
            if (model := getattr(settings.dual_llm, field))
        ),
    ]
    for key, name in named:
        if name not in known:
            raise SettingsError(f"{settings.place(*key)}unknown provider {name!r}{suggest(name, known)}")


def key_references(name: str, settings: Settings, env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Return where an operator says that a provider's key is, the first wins: what says so, and the reference."""
    own = variable(f"{name}.api_key")
    if file := env.get(f"{own}_FILE"):
        yield f"{own}_FILE: ", f"file:{file}"
    elif env.get(own):
        yield f"{own}: ", f"env:{own}"
    if name in settings.providers and (reference := settings.providers[name].api_key):
        yield settings.place("providers", name, "api_key"), reference
