"""``GET /metrics``: what the gateway counts, for Prometheus.

All families are read at one moment, so that they agree with each other. To write them takes longer: thousands of
series are written in turns, and answers in flight get theirs in between.
"""

import asyncio
from collections.abc import Callable
from copy import copy
from functools import partial

from aiohttp import web
from aioprometheus.collectors import Registry
from aioprometheus.formats.text import TEXT_CONTENT_TYPE, TextFormatter

from gateway.series import Samples

_TURN = 50
"""Series that are written without a pause: about two milliseconds."""
_HEAD = 2
"""Lines that say what a family is."""

_formatter = TextFormatter()


async def exposition(registry: Registry) -> web.Response:
    """Return every family as text, the one format that the library writes and that every scraper reads."""
    lines = []
    for family, samples in [(copy(family), family.get_all()) for family in registry.get_all()]:
        for start in range(0, len(samples) or 1, _TURN):
            part: Callable[[], Samples] = partial(list, samples[start : start + _TURN])
            family.get_all = part  # type: ignore[method-assign]  # what the formatter asks a family for
            lines += _formatter.marshall_lines(family)[_HEAD if start else 0 :]
            await asyncio.sleep(0)
    lines.append("")
    return web.Response(
        body="\n".join(lines).encode(),
        headers={"Content-Type": TEXT_CONTENT_TYPE, "Server": "llm-gateway"},
    )
