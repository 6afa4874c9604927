"""What is counted of every interaction, however it ended.

``gateway_*`` say how the gateway did. They take every interaction, from the batches that the log takes, so the two
always agree. ``llm_*`` say how models answered, and take those that were sent to one.

The name of a model, a tool or an event is whatever somebody outside writes: at most 200 of each are labels.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import structlog
from aioprometheus.collectors import Registry

from gateway.core.errors import ErrorKind
from gateway.core.interaction import Interaction
from gateway.core.stage import Stage
from gateway.core.view import Usage
from gateway.series import Bounded, Count, Counter, Distribution, Histogram

_OVERHEAD = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_DURATION = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_FIRST_TOKEN = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
_INTER_TOKEN = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_PER_SECOND = (5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 500.0, 1000.0)
_DOLLARS = 1e-9
"""In a nano-dollar."""
_UPSTREAM = frozenset(
    {
        "not_evaluated",
        "upstream_connect",
        "upstream_protocol",
        "upstream_reset",
        "upstream_status",
        "upstream_timeout",
    }
)
"""Outcomes that are the provider's doing, or that of the way to it."""

_log = structlog.get_logger()


class _Model(NamedTuple):
    """The series of one provider, model and agent."""

    durations: dict[int, Distribution]
    """By the status that the client got."""
    first_token: Distribution
    inter_token: Distribution
    per_second: Distribution
    input: Count
    output: Count
    cache_read: Count
    cache_write: Count
    cost: Count
    unknown_price: Count


class Metrics(Stage):
    """Counts finished interactions, a batch at a time."""

    def __init__(self, registry: Registry) -> None:
        """``registry``: where the families are registered, to be shown to who scrapes."""
        self._models: dict[tuple[str, str, str, str], _Model] = {}
        self._names, self._tools, self._events = Bounded(), Bounded(), Bounded()
        counter, histogram = partial(Counter, registry), partial(Histogram, registry)

        self._requests = counter(
            "gateway_requests_total", "Interactions that have ended.", "provider", "outcome"
        )
        self._overhead = histogram(
            "gateway_overhead_seconds",
            "The gateway's own time until the first byte left, without its waits for client and provider.",
            "provider",
            buckets=_OVERHEAD,
        )
        self._upstream_errors = counter(
            "gateway_upstream_errors_total",
            "Interactions in which the provider failed, or the way to it.",
            "provider",
            "kind",
            "phase",
        )
        self._retries = counter("gateway_retries_total", "Requests that were sent again.", "provider")
        self._unknown_events = counter(
            "gateway_unknown_events_total",
            "Parts of answers that the provider's adapter does not know.",
            "provider",
            "event",
        )
        self._unknown_price = counter(
            "gateway_unknown_price_total", "Answers whose usage has no known price.", "provider", "model"
        )
        self._decisions = counter(
            "gateway_policy_decisions_total",
            "What policies decided of calls, results and tools, enforced or in shadow mode.",
            "action",
            "mode",
        )

        agent = ("agent_id", "agent_name")
        whose = ("provider", "model", *agent)
        self._blocked_tools = counter(
            "llm_blocked_tools_total", "Tool calls that were refused.", "provider", *agent, "tool"
        )
        self._durations = histogram(
            "llm_request_duration_seconds",
            "From the request's first byte to the answer's last.",
            *whose,
            "status_code",
            buckets=_DURATION,
        )
        self._first_token = histogram(
            "llm_time_to_first_token_seconds",
            "From the request's first byte to a stream's first token.",
            *whose,
            buckets=_FIRST_TOKEN,
        )
        self._inter_token = histogram(
            "llm_inter_token_seconds", "Mean time between a stream's tokens.", *whose, buckets=_INTER_TOKEN
        )
        self._per_second = histogram(
            "llm_tokens_per_second",
            "Output tokens by the duration of the request.",
            *whose,
            buckets=_PER_SECOND,
        )
        self._tokens = counter("llm_tokens_total", "Tokens, those of the prompt cache apart.", *whose, "type")
        self._cache_tokens = counter(
            "llm_cache_tokens_total", "Tokens read from and written to the prompt cache.", *whose, "type"
        )
        self._cost = counter("llm_cost_total", "Dollars, where the price is known.", *whose)

    async def on_done(self, batch: Sequence[Interaction]) -> None:
        """Count each; one that can't be must not cost the others of its batch their counts."""
        for i in batch:
            try:
                self._count(i)
                if i.attempts and not i.endpoint.opaque:
                    self._measure(i)
            except Exception:  # noqa: BLE001  # as above: whatever a provider said, the next one is counted
                _log.exception("an interaction could not be counted", id=i.id)

    def _count(self, i: Interaction) -> None:
        """Count what every interaction has."""
        provider = i.provider.name
        self._requests.series(provider, i.outcome).value += 1
        if i.overhead is not None:
            self._overhead.series(provider).observe(i.overhead)
        if i.attempts > 1:
            self._retries.series(provider).value += i.attempts - 1
        if i.outcome in _UPSTREAM:
            kind = i.error_kind or ErrorKind.UNKNOWN
            self._upstream_errors.series(provider, kind, _phase(i)).value += 1
        for name, count in i.unknown.items():
            self._unknown_events.series(provider, self._events(name, provider)).value += count
        for decision in i.decisions:  # whose words are ours: no client can make up another one
            self._decisions.series(decision.action, decision.mode).value += 1
        for tool in i.blocked_tools:
            self._blocked_tools.series(provider, *_agent(i), self._tools(tool)).value += 1

    def _measure(self, i: Interaction) -> None:
        """Count what a request to a model has."""
        provider = i.provider.name
        name = self._names(i.request.model or i.requested_model, provider)
        whose = (provider, name, *_agent(i))
        model = self._models.get(whose) or self._make(whose)
        seconds = (i.finished or i.started) - i.started
        durations = model.durations.get(i.status)
        if durations is None:
            status = str(i.status) if i.status else ""
            durations = model.durations[i.status] = self._durations.series(*whose, status)
        durations.observe(seconds)
        if i.cost is not None:
            model.cost.value += i.cost * _DOLLARS
        if i.first_token is not None:
            model.first_token.observe(i.first_token - i.started)
        if i.unknown_price:
            model.unknown_price.value += 1
        usage = i.completion.usage
        if usage is None:
            return
        model.input.value += usage.input_tokens or 0
        model.output.value += usage.output_tokens or 0
        model.cache_read.value += usage.cache_read_tokens or 0
        model.cache_write.value += usage.cache_write_tokens or 0
        if usage.output_tokens and seconds and i.outcome == "ok":
            model.per_second.observe(usage.output_tokens / seconds)
        if i.first_token is not None and i.last_token is not None and (gaps := _gaps(i, usage)) > 0:
            model.inter_token.observe((i.last_token - i.first_token) / gaps)

    def _make(self, whose: tuple[str, str, str, str]) -> _Model:
        model = self._models[whose] = _Model(
            {},
            self._first_token.series(*whose),
            self._inter_token.series(*whose),
            self._per_second.series(*whose),
            self._tokens.series(*whose, "input"),
            self._tokens.series(*whose, "output"),
            self._cache_tokens.series(*whose, "read"),
            self._cache_tokens.series(*whose, "write"),
            self._cost.series(*whose),
            self._unknown_price.series(*whose[:2]),
        )
        return model


def _agent(i: Interaction) -> tuple[str, str]:
    """Return the id and the name of the agent."""
    who = i.principal
    return (who.agent_id, who.agent_name or who.agent) if who else ("", "")


def _gaps(i: Interaction, usage: Usage) -> int:
    """Return how many tokens of a stream came after the first one."""
    tokens = usage.output_tokens or 0
    if usage.reasoning_tokens and not i.completion.reasoning:
        tokens -= usage.reasoning_tokens  # thought before the first token, and kept back
    return tokens - 1


def _phase(i: Interaction) -> str:
    """Return how far an interaction had come when its provider failed."""
    if i.outcome == "upstream_connect":
        return "connect"
    if i.outcome == "upstream_status" and i.status >= 400:
        return "status"
    # Once the answer has begun, its status is the provider's.
    return "first_byte" if i.error is not None and i.status == i.error.status else "answer"
