"""Measure the gateway beside the bare hop: `python -m bench --help`."""

import argparse
import asyncio
import contextlib
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import uvloop

from bench import load, peers, report, subjects
from bench.report import LARGE, MEDIUM, SMALL, Results
from bench.subjects import Process
from bench.turns import Turn

STREAMS, GAP = 200, 20  # streams at once, milliseconds between their events
CONNECTIONS = {SMALL: 32, MEDIUM: 8, LARGE: 4}
Start = Callable[[], contextlib.AbstractContextManager[Process]]


@dataclass(frozen=True)
class Plan:
    """How long a run takes."""

    rounds: int
    turns: int  # of each subject, for plain requests of 1 kB; half as many for larger ones
    events: int  # of each stream; while the streams begin, half a second, they are not counted


FULL = Plan(rounds=7, turns=12, events=200)
MODULES = {"gateway": "tests.harness.gated", "ungated": "gateway", "path": "bench.path"}
QUICK = Plan(rounds=3, turns=4, events=60)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, help=f"rounds ({FULL.rounds}; quick: {QUICK.rounds})")
    parser.add_argument("--quick", action="store_true", help="about 20 s: noisy, and only the gated gateway")
    parser.add_argument(
        "--hop-only", action="store_true", help="a second hop in the gateway's place: the noise"
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 if a budget was missed")
    parser.add_argument("--write", action="store_true", help="put the tables into bench/README.md")
    return parser.parse_args()


async def streams(process: Process, turn: Turn, events: int) -> load.Streams:
    return await load.streams(process.port, process.cpu, turn, streams=STREAMS, events=events, gap=GAP)


Running = Sequence[tuple[Process, Results]]


async def plain(running: Running, size: int, turns: int) -> list[load.Plain]:
    """Plain requests of one size, the subjects side by side in turns."""
    return await asyncio.gather(
        *(
            load.plain(
                process.port,
                process.cpu,
                Turn(number, len(running)),
                connections=CONNECTIONS[size],
                turns=turns,
                message=load.request(process.port, size),
            )
            for number, (process, _) in enumerate(running)
        )
    )


async def small(running: Running, plan: Plan) -> None:
    """Requests of 1 kB."""
    measured = await plain(running, SMALL, plan.turns)
    for (process, results), each in zip(running, measured, strict=True):
        results.plain[SMALL].append(each)
        results.serving.append(process.resident())


async def large(running: Running, plan: Plan) -> None:
    """Requests of 100 kB and 1 MB."""
    for size in (MEDIUM, LARGE):
        measured = await plain(running, size, plan.turns // 2)
        for (_, results), each in zip(running, measured, strict=True):
            results.plain[size].append(each)


async def flowing(running: Running, plan: Plan) -> None:
    """Streams; and then, for what stays in memory after all of it, the largest requests."""
    flowed = await asyncio.gather(
        *(
            streams(process, Turn(number, len(running)), plan.events)
            for number, (process, _) in enumerate(running)
        )
    )
    await plain(running, LARGE, 2)
    for (process, results), flow in zip(running, flowed, strict=True):
        results.streams.append(flow)
        results.resident.append(process.resident())


async def round_of(pair: Sequence[tuple[Start, Results]], plan: Plan) -> None:
    """One round of the hop and one subject, in new processes for each kind of request.

    One stays a little faster or slower than its twin for life; and texts of one kind of request that wait to be made
    searchable must not become part of what another costs.
    """
    for measure in (small, large, flowing):
        with contextlib.ExitStack() as stack:
            running = [
                (await asyncio.to_thread(stack.enter_context, start()), results) for start, results in pair
            ]
            with peers.awake():
                await measure(running, plan)
            for process, results in running:
                results.starts.append(process.start)


def choose(chosen: argparse.Namespace, core: int, upstream_port: int) -> dict[str, Start]:
    """What to measure, each beside the hop; the first one is judged."""
    if chosen.hop_only:
        return {"hop again": lambda: subjects.hop("hop again", core, upstream_port)}
    return {
        name: partial(subjects.gateway, name, core, upstream_port, MODULES[name])
        for name in list(MODULES)[: 1 if chosen.quick else None]
    }


def machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "uvloop", "msgspec"))
    return f"Python {platform.python_version()}, {packages}; {os.cpu_count()} cores, {platform.machine()}.\n"


async def run(chosen: argparse.Namespace, core: int) -> tuple[list[Results], load.Streams]:
    """All rounds; the streams are those of the provider alone."""
    plan = QUICK if chosen.quick else FULL
    count = chosen.rounds or plan.rounds
    async with peers.provider() as port:
        with peers.awake():
            direct = await load.streams(
                port, lambda: 0.0, Turn(), streams=STREAMS, events=plan.events, gap=GAP
            )
        hop = partial(subjects.hop, "hop", core, port)
        measured = []
        for name, start in choose(chosen, core, port).items():
            with contextlib.ExitStack() as stack:
                # A first start compiles, and is not counted.
                await asyncio.to_thread(stack.enter_context, start())
            measured.append((start, Results(name, Results("hop"))))
        for number in range(count):
            for start, results in measured:
                print(f"round {number + 1} of {count}: {results.name}", file=sys.stderr, flush=True)
                pair = [(hop, results.hop or results), (start, results)]
                await round_of(pair if number % 2 else pair[::-1], plan)
    return [results for _, results in measured], direct


def main() -> int:
    chosen = options()
    core, other = subjects.cores()
    os.sched_setaffinity(0, {other})
    others, direct = uvloop.run(run(chosen, core))
    judged = list(report.verdicts(others[0], direct))
    text = f"\n{report.table(others)}\n{report.budgets(judged)}\n{machine()}"
    print(text)
    if chosen.write:
        report.write(text + "\n")
    return int(chosen.check and not all(verdict.met for verdict in judged))


if __name__ == "__main__":
    sys.exit(main())
