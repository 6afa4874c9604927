"""What an answer used: as the provider reported it, or as it can be estimated where that says nothing.

Only a request that reached its provider whole, and was not refused there, can have used anything. What the provider
did say stays; but of an answer that broke off it has said only what was used by then, so that its output is at least
what has arrived, and what has not arrived is not known. Zero is what it says; null, in an answer that is whole, is its
word that nobody knows; what it leaves out is estimated.
"""

import math
from collections.abc import Callable, Iterable

import msgspec

from gateway.core import tokens
from gateway.core.interaction import Interaction
from gateway.core.view import Usage

_BYTES_PER_TOKEN = 4
"""Of a request whose texts are gone."""
_NOTHING = Usage()
_COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_SETTLED = frozenset({"ok", "upstream_status"})
"""Outcomes of answers that came to their own end."""
Count = Callable[[Iterable[str]], int]


def needs_estimate(i: Interaction) -> bool:
    """Whether an interaction that has ended used more than its provider said."""
    completion = i.completion
    usage = completion.usage or _NOTHING
    if i.outcome == "ok" and usage.input_tokens is not None and usage.output_tokens is not None:
        return False  # nearly all of them
    ran = completion.begun or completion.finish_reason is not None
    if i.ran and i.outcome not in _SETTLED:
        ran = True  # it broke off, and what was read and written until then is charged
    if i.outcome == "ok" and not i.endpoint.carries_calls:
        ran = True  # an answer of numbers neither begins nor finishes
    if not ran or not i.endpoint.response.billed:
        return False
    if i.unreadable and not completion.begun:
        return False  # it said what nobody could read: to estimate its output as nothing would be wrong
    return _lacks_input(i, usage) or _lacks_output(i, usage)


def _lacks_input(i: Interaction, usage: Usage) -> bool:
    return usage.input_tokens is None and not (usage.input_is_null and not _broke_off(i))


def _lacks_output(i: Interaction, usage: Usage) -> bool:
    if not i.completion.begun:
        return False
    return _broke_off(i) or (usage.output_tokens is None and not usage.output_is_null)


def _broke_off(i: Interaction) -> bool:
    return i.completion.finish_reason is None and i.outcome != "ok"


def is_withheld(i: Interaction, usage: Usage) -> bool:
    """Whether the provider says that it does not know what it charges for."""
    if usage.input_tokens is None and usage.input_is_null:
        return True
    return usage.output_tokens is None and bool(usage.output_is_null) and i.completion.begun


def estimate(i: Interaction, count: Count = tokens.count) -> Usage:
    """Return the usage with estimates for what is missing; counts tokens of ``size(i)`` bytes."""
    usage = i.completion.usage or _NOTHING
    changes = {}
    if _lacks_input(i, usage):
        changes["input_tokens"] = _input(i, count)
    if _lacks_output(i, usage):
        written = _scaled(i, count(_answer(i)))
        if usage.output_tokens is None or written > usage.output_tokens:
            changes["output_tokens"] = written
    return msgspec.structs.replace(usage, **changes)


def size(i: Interaction) -> int:
    """Return about how many bytes an estimate counts."""
    return len(i.request.body) + i.response_bytes


def settled(i: Interaction, usage: Usage | None) -> str:
    """Return whence a usage is that was settled on: ``reported``, ``estimated`` or ``none``."""
    if usage is None or (
        usage.input_tokens is None and all(getattr(usage, name) is None for name in _COUNTS)
    ):
        return "none"
    said = i.completion.usage
    return "reported" if usage is said or usage == said else "estimated"


def _input(i: Interaction, count: Count) -> int:
    if not i.request.body:
        return i.request_bytes // _BYTES_PER_TOKEN
    return _scaled(i, count(i.request.texts()))


def _answer(i: Interaction) -> Iterable[str]:
    completion = i.completion
    yield completion.text
    yield completion.reasoning
    for call in completion.tool_calls:
        yield call.name
        yield call.arguments


def _scaled(i: Interaction, count: int) -> int:
    return math.ceil(count * i.provider.row.token_factor)
