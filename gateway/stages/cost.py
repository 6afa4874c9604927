"""What an interaction used, and what that cost, once it has ended."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog

from gateway.core.interaction import Interaction, Saved
from gateway.core.stage import Stage
from gateway.core.usage import estimate, needs_estimate, settled, size
from gateway.core.view import Usage
from gateway.counting import count
from gateway.prices import Prices

_log = structlog.get_logger()
_Result = TypeVar("_Result")


class Cost(Stage):
    """Settles usage and cost; whatever fails leaves them unknown, for the one interaction that failed."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices

    async def on_done(self, batch: Sequence[Interaction]) -> None:
        """Settle each once, though a batch may come again."""
        batch = [i for i in batch if not i.usage_source]
        unsaid = [i for i in batch if needs_estimate(i)]
        # What counts may be a thread, and may still run when nobody waits for it any more: it changes nothing.
        usages = (
            await count(sum(map(size, unsaid)), lambda: [_try(estimate, i) for i in unsaid]) if unsaid else ()
        )
        estimates = dict(zip((i.id for i in unsaid), usages, strict=True))
        for i in batch:
            said = i.completion.usage
            usage = estimates.get(i.id) or said
            i.usage_source = settled(i, usage)
            i.completion.usage = usage
            if i.usage_source != "none":
                _try(self._charge, i)

    def _charge(self, i: Interaction) -> None:
        usage = i.completion.usage or Usage()
        model = i.request.model or i.requested_model
        i.unknown_price = True
        price = self._prices.find(i.provider, (i.completion.model, model), i.started_at, usage.service_tier)
        if price is None:
            return
        rates = price.rates(usage)
        i.cost = rates.cost(usage)
        if i.cost is None:
            return
        i.unknown_price = False
        i.price = rates.listed
        i.baseline_cost = i.cost
        optimized = None
        if model != i.requested_model:
            i.baseline_cost = self._baseline(i, usage)
            optimized = None if i.baseline_cost is None else i.baseline_cost - i.cost
        i.saved = Saved(i.saved.toon, optimized, rates.saved_by_cache(usage))

    def _baseline(self, i: Interaction, usage: Usage) -> int | None:
        price = self._prices.find(i.provider, (i.requested_model,), i.started_at, usage.service_tier)
        return None if price is None else price.rates(usage).cost(usage)


def _try(work: Callable[[Interaction], _Result], i: Interaction) -> _Result | None:
    try:
        return work(i)
    except Exception:  # noqa: BLE001  # one interaction must not cost the others of its batch what they are worth
        _log.exception("the cost of an interaction could not be settled", id=i.id)
        return None
