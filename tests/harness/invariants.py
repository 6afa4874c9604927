"""What must hold after every scenario, whatever was injected (the numbers are those of the fault list)."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from tests.harness import ending, scrape
from tests.harness.client import Exchange
from tests.harness.dialects import Dialect
from tests.harness.oracle import TYPED, Oracle, Seen
from tests.harness.process import Gateway, Sample
from tests.harness.scrape import Scrape
from tests.harness.upstream import Connection

CANARY_NAME = b"canary_tool"
CANARY_ARGUMENTS = (b"canary_arg", b"c4n4ry")
LEAVE_DEADLINE = 1.0
SETTLE_DEADLINE = 2.0
SLACK = 2


def check_nothing_leaked(exchange: Exchange, refusal: bool) -> None:
    """I3: no argument of a refused or unjudged call, and its name only in the refusal."""
    for canary in CANARY_ARGUMENTS:
        assert canary not in exchange.raw, f"I3: {canary!r} reached the client"
    if CANARY_NAME in exchange.raw:
        assert refusal, "I3: the name of an unjudged call reached the client"
        assert b"tool invocation policy" in exchange.raw, "I3: the name without a refusal"


async def check_upstream_left(connections: Sequence[Connection], exchange: Exchange) -> None:
    """I4: a client that left takes its upstream connection with it, within a second."""
    assert exchange.left_at is not None
    end = exchange.left_at + LEAVE_DEADLINE
    left = asyncio.gather(*(c.left() for c in connections if not c.ended_here))
    await asyncio.wait([left], timeout=max(0.0, end - time.monotonic()))
    left.cancel()
    stayed = [c for c in connections if c.open or (c.left_at is not None and c.left_at > end)]
    assert not stayed, (
        f"I4: {len(stayed)} upstream connection(s) still open {LEAVE_DEADLINE} s after the client left"
    )


async def settled(gateway: Gateway, baseline: Sample, slack: int = SLACK) -> Sample:
    """Wait until descriptors and threads are back, at most two seconds.

    Threads always have their slack: those that do what must not hold up the loop stay when they are done.
    """
    end = time.monotonic() + SETTLE_DEADLINE
    while True:
        now = gateway.sample()
        if now.fds <= baseline.fds + slack and now.threads <= baseline.threads + SLACK:
            return now
        if time.monotonic() > end:
            return now
        await asyncio.sleep(0.02)


async def check_settled(gateway: Gateway, baseline: Sample) -> None:
    """I5: nothing stays open."""
    now = await settled(gateway, baseline)
    assert now.fds <= baseline.fds + 2, f"I5: {now.fds} descriptors, {baseline.fds} before"
    assert now.threads <= baseline.threads + 2, f"I5: {now.threads} threads, {baseline.threads} before"


async def reconciled(gateway: Gateway) -> tuple[Scrape, list[dict[str, Any]]]:
    """I10: the metrics agree with the log. Return both, once all has ended and is recorded."""
    shown = await scrape.settled(gateway.console_port)
    enqueued = int(shown.total("gateway_log_records_total", state="enqueued"))
    end = time.monotonic() + SETTLE_DEADLINE
    while True:
        records = gateway.interactions()
        if len(records) >= enqueued or time.monotonic() > end:
            break
        await asyncio.sleep(0.01)  # what was written may still be in the pipe
    ending.check_counted(shown, records)
    return shown, records


async def check_our_error(oracle: Oracle, dialect: Dialect, exchange: Exchange, *, stream: bool) -> None:
    """I9: the body has the client's dialect, and the vendor's SDK raises its typed error with our status."""
    response = exchange.response
    dialect.check_error(response.status, response.body)
    content_type = response.header("content-type") or ""
    assert content_type.startswith("application/json"), f"I9: an error body of type {content_type!r}"
    interaction = response.header("x-gateway-interaction-id")
    assert interaction, "I9: an error without x-gateway-interaction-id"
    assert interaction.encode() in response.body, "I9: the error's text lacks the interaction id"
    if oracle.reads(dialect, stream=stream):
        seen = await oracle.see(dialect, exchange, stream=stream)
        assert isinstance(seen.error, TYPED), f"I9: the SDK made {seen.error!r} of {response.body!r}"
        status = getattr(seen.error, "status_code", None) or getattr(seen.error, "code", None)
        assert status == response.status, f"I9: the SDK read status {status}"


async def check_in_band(oracle: Oracle, dialect: Dialect, exchange: Exchange) -> None:
    """I9 for a stream that had begun: an error event that the SDK raises (Responses: yields as failed)."""
    body = exchange.response.body
    error = dialect.in_band_error(body)
    assert error, f"I9: no error event at the end of {body[-300:]!r}"
    assert error.get("message"), f"I9: an error event without a message: {error}"
    assert b"[DONE]" not in body, "I9: [DONE] after an error"
    if oracle.reads(dialect, stream=True):
        seen = await oracle.see(dialect, exchange, stream=True)
        assert isinstance(seen.error, TYPED) or seen.failed, (
            f"I9: the SDK took a broken stream for whole: {seen}"
        )


async def check_broken(oracle: Oracle, dialect: Dialect, exchange: Exchange, *, stream: bool) -> Seen:
    """An aborted answer must never read as a complete one."""
    assert exchange.ended in {"eof", "reset"}, f"the answer ended by {exchange.ended}"
    assert not exchange.response.complete or exchange.ended == "reset", (
        "a broken answer was framed as complete"
    )
    seen = await oracle.see(dialect, exchange, stream=stream)
    assert seen.error is not None, "the SDK took a broken answer for whole"
    return seen
