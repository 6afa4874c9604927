"""Counting tokens without holding up the loop."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from gateway.core import tokens

_AT_ONCE = 50_000
"""Bytes that are counted on the loop: two milliseconds' worth."""

_Counted = TypeVar("_Counted")


async def count(size: int, work: Callable[[], _Counted]) -> _Counted:
    """Run what counts the tokens of some ``size`` bytes: here if that is short work, else in a thread."""
    if size <= _AT_ONCE and tokens.loaded():
        return work()
    return await asyncio.to_thread(work)
