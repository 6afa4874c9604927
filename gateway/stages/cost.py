"""What an interaction used, and what that cost, once it has ended."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog

from gateway.core import tokens
from gateway.core.interaction import Interaction
from gateway.core.price import known
from gateway.core.record import Saved
from gateway.core.stage import Stage
from gateway.core.usage import estimate, is_withheld, needs_estimate, settled, size
from gateway.core.view import Usage
from gateway.counting import count
from gateway.prices import Prices

_log = structlog.get_logger()
_Result = TypeVar("_Result")


class Cost(Stage):
    """Settles usage and cost; whatever fails leaves them unknown, for the one interaction that failed."""

    def __init__(self, prices: Prices, busy: Callable[[], bool]) -> None:
        """``busy``: whether any answer is under way, which loading the table of tokens would hold up."""
        self._prices = prices
        self._busy = busy

    async def on_done(self, batch: Sequence[Interaction]) -> None:
        """Settle each once, though a batch may come again."""
        batch = [i for i in batch if not i.usage_source]
        unsaid = [i for i in batch if needs_estimate(i)]
        estimates = await self._estimates(unsaid) if unsaid else {}
        for i in batch:
            said = i.completion.usage
            usage = estimates.get(i.id) or said
            i.usage_source = settled(i, usage)
            i.completion.usage = usage
            if i.usage_source != "none":
                _try(self._charge, i)

    async def _estimates(self, unsaid: Sequence[Interaction]) -> dict[str, Usage | None]:
        measure = tokens.count if tokens.loaded() or not self._busy() else tokens.guess

        def work() -> dict[str, Usage | None]:
            # This may be a thread that still runs when nobody waits for it any more: it changes nothing.
            return {i.id: _try(lambda i: estimate(i, measure), i) for i in unsaid}

        return await count(sum(map(size, unsaid)), work)

    def _charge(self, i: Interaction) -> None:
        usage = i.completion.usage or Usage()
        i.unknown_price = True
        if is_withheld(i, usage):
            return
        model = i.request.model or i.requested_model
        price = self._prices.find(i.provider, (i.completion.model, model), i.started_at, usage.service_tier)
        if price is None:
            return
        rates = price.rates(usage)
        own, beside = rates.cost(usage), self._beside(i, usage)
        total = None if own is None or beside is None else known(own + beside)
        if total is None or beside is None:
            return
        i.unknown_price = False
        i.cost = total
        i.price = rates.listed
        i.baseline_cost = i.cost
        optimized = None
        if model != i.requested_model:
            baseline = self._cost(i, (i.requested_model,), usage)
            i.baseline_cost = None if baseline is None else known(baseline + beside)
            optimized = None if i.baseline_cost is None else i.baseline_cost - i.cost
        i.saved = Saved(i.saved.toon, optimized, rates.saved_by_cache(usage))

    def _beside(self, i: Interaction, usage: Usage) -> int | None:
        """Return what is charged for other runs than that which answered."""
        total = 0
        for model, used in usage.others or ():
            cost = self._cost(i, (model or i.completion.model, model or i.request.model), used)
            if cost is None:
                return None
            total += cost
        return total

    def _cost(self, i: Interaction, models: tuple[str, ...], usage: Usage) -> int | None:
        price = self._prices.find(i.provider, models, i.started_at, usage.service_tier)
        return None if price is None else price.rates(usage).cost(usage)


def _try(work: Callable[[Interaction], _Result], i: Interaction) -> _Result | None:
    try:
        return work(i)
    except Exception:  # noqa: BLE001  # one interaction must not cost the others of its batch what they are worth
        _log.exception("the cost of an interaction could not be settled", id=i.id)
        return None
