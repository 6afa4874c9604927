"""Prices by provider and model: the operator's own rows, then the list that ``genai-prices`` brings along.

Names are looked for as they are, then without what vendors and dates add to them. What was found, or was not,
is remembered, for a bounded number of names: clients choose them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from re import compile as regex
from re import match
from typing import Protocol

import genai_prices
from genai_prices import data_snapshot, types

from gateway.core.price import Price, Rates
from gateway.core.provider import Provider

_MOST = 4096
_LONGEST = 256
"""Characters of a model's name that anybody would list."""
_DATE = regex(r"(?:[-@]20\d{2}-?[01]\d-?[0-3]\d|-latest)(?:-v\d+(?::\d+)?)?$")
_OPERATOR = "operator"
_LISTED = f"genai-prices {genai_prices.__version__}"
_KINDS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "reasoning": "output_reasoning_mtok",
    "input_audio": "input_audio_mtok",
    "cache_read_audio": "cache_audio_read_mtok",
    "output_audio": "output_audio_mtok",
    "output_image": "output_image_mtok",
    "web_search": "web_searches_kcount",
    "request": "requests_kcount",
}
"""Our kinds of tokens in the words of ``genai-prices``."""


class OwnPrice(Protocol):
    """An operator's row: dollars per million tokens."""

    @property
    def input(self) -> float | None: ...
    @property
    def output(self) -> float | None: ...
    @property
    def cache_read(self) -> float | None: ...
    @property
    def cache_write(self) -> float | None: ...
    @property
    def cache_write_1h(self) -> float | None: ...


Own = Mapping[tuple[str, str], OwnPrice]
"""The operator's rows by provider and model."""
_NO_ROWS: Own = {}
_Find = Callable[[float], Price | None]
"""Gives the price at a time: some change with the day, or with the hour."""


class Prices:
    """Finds what a model costs."""

    def __init__(self, own: Callable[[], Own] = lambda: _NO_ROWS) -> None:
        """``own``: gives the operator's rows as they are now; another object only when they have changed."""
        self._own = own
        self._rows: Own = {}
        self._list = data_snapshot.get_snapshot().providers
        self._found: dict[tuple[str, Sequence[str], str | None], _Find] = {}

    def find(
        self, provider: Provider, models: Sequence[str], at: float, service_tier: str | None = None
    ) -> Price | None:
        """Return the price of the first of these names that has one, at a time in seconds since the epoch."""
        rows = self._own()
        if rows is not self._rows:
            self._rows = rows
            self._found.clear()
        key = (provider.name, models, service_tier)
        found = self._found.get(key)
        if found is None:
            if max(map(len, models)) > _LONGEST:
                return None
            if len(self._found) >= _MOST:
                self._found.clear()
            found = self._found[key] = self._search(provider, models, service_tier)
        return found(at)

    def _search(self, provider: Provider, models: Sequence[str], service_tier: str | None) -> _Find:
        names = [name for model in models for name in aliases(model)]
        for name in names:
            if row := self._rows.get((provider.name, name)):
                own = _own_price(name, row)
                return lambda _: own
        if listed := self._provider(provider):
            for name in names:
                if model := listed.find_model(name, all_providers=self._list):
                    return _Listed(model, service_tier)
        return _unknown

    def _provider(self, provider: Provider) -> types.Provider | None:
        """Return a provider's list: the one that it says, or has the name of, else whose address it has."""
        name = provider.row.prices or provider.name
        named = next((listed for listed in self._list if listed.id == name), None)
        return named or next((p for p in self._list if match(p.api_pattern, provider.base_url)), None)


def _unknown(_: float) -> None:
    """Return what a model costs that nobody lists."""


def aliases(model: str) -> Iterator[str]:
    """Return the names under which a model may be listed, the fullest first."""
    for name in dict.fromkeys((model, model.rpartition("/")[2])):
        if name:
            yield name
            if (undated := _DATE.sub("", name)) != name:
                yield undated


def _own_price(model: str, row: OwnPrice) -> Price:
    kinds = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
    listed = {kind: getattr(row, kind, None) for kind in kinds}
    return Price(((-1, Rates.of(_OPERATOR, model, listed)),))


class _Listed:
    """A model of the list; its price is looked up once per quarter of an hour, at which all of them change."""

    def __init__(self, model: types.ModelInfo, service_tier: str | None) -> None:
        self._model = model
        self._context = {"service_tier": service_tier, "speed": service_tier} if service_tier else None
        self._quarter = -1
        self._price = Price(())

    def __call__(self, at: float) -> Price:
        """Return the price at a time."""
        quarter = int(at) // 900
        if quarter != self._quarter:
            listed = self._model.get_prices(datetime.fromtimestamp(quarter * 900, UTC), self._context)
            self._price = Price(_tiers(self._model.id, listed))
            self._quarter = quarter
        return self._price


def _tiers(model: str, listed: types.ModelPrice) -> tuple[tuple[int, Rates], ...]:
    prices = {kind: getattr(listed, name) for kind, name in _KINDS.items()}
    tiered = [price for price in prices.values() if isinstance(price, types.TieredPrices)]
    starts = sorted({-1, *(tier.start for price in tiered for tier in price.tiers)})
    return tuple(
        (start, Rates.of(_LISTED, model, {kind: _above(start, price) for kind, price in prices.items()}))
        for start in starts
    )


def _above(start: int, price: Decimal | types.TieredPrices | None) -> Decimal | None:
    """Return what holds for inputs of more than ``start`` tokens."""
    if not isinstance(price, types.TieredPrices):
        return price
    return next((tier.price for tier in reversed(price.tiers) if tier.start <= start), price.base)
