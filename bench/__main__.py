"""Measure the gateway beside the bare hop: `python -m bench --help`."""

import argparse
import asyncio
import contextlib
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import uvloop

from bench import load, report, subjects
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


FULL = Plan(rounds=9, turns=15, events=120)
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


Running = list[tuple[Process, Results]]


async def plain(running: Running, size: int, turns: int) -> None:
    """Plain requests of one size, the subjects side by side in turns."""
    measured = await asyncio.gather(
        *(
            load.plain(
                process.port,
                process.cpu,
                Turn(number, len(running)),
                connections=CONNECTIONS[size],
                turns=turns,
                size=size,
            )
            for number, (process, _) in enumerate(running)
        )
    )
    for (_, results), each in zip(running, measured, strict=True):
        results.plain[size].append(each)


async def small(running: Running, plan: Plan) -> None:
    """Requests of 1 kB, which leave tens of thousands of texts that are to be made searchable."""
    await plain(running, SMALL, plan.turns)
    for process, results in running:
        results.serving.append(process.resident())


async def rest(running: Running, plan: Plan) -> None:
    """All else; streams at the end, since to count the tokens of those that break off is not their cost."""
    for size in (MEDIUM, LARGE):
        await plain(running, size, plan.turns // 2)
    flowed = await asyncio.gather(
        *(
            streams(process, Turn(number, len(running)), plan.events)
            for number, (process, _) in enumerate(running)
        )
    )
    for (_, results), flow in zip(running, flowed, strict=True):
        results.streams.append(flow)
    for process, results in running:
        results.resident.append(process.resident())


def round_of(starts: list[tuple[Start, Results]], plan: Plan) -> None:
    """One round in new processes, because one stays a little faster or slower than its twin for life."""
    for measure in (small, rest):
        with contextlib.ExitStack() as stack:
            running = [(stack.enter_context(start()), results) for start, results in starts]
            uvloop.run(measure(running, plan))
            for process, results in running:
                results.starts.append(process.start)


def choose(chosen: argparse.Namespace, core: int, upstream_port: int) -> dict[str, Start]:
    """What to measure; the first one is what the others are compared with."""
    found: dict[str, Start] = {"hop": lambda: subjects.hop("hop", core, upstream_port)}
    if chosen.hop_only:
        return found | {"hop again": lambda: subjects.hop("hop again", core, upstream_port)}
    modules = {"gateway": "tests.harness.gated", "ungated": "gateway", "path": "bench.path"}
    for name in list(modules)[: 1 if chosen.quick else None]:
        found[name] = partial(subjects.gateway, name, core, upstream_port, modules[name])
    return found


def machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "uvloop", "msgspec"))
    return f"Python {platform.python_version()}, {packages}; {os.cpu_count()} cores, {platform.machine()}.\n"


def main() -> int:
    chosen = options()
    plan = QUICK if chosen.quick else FULL
    count = chosen.rounds or plan.rounds
    core, other = subjects.cores()
    os.sched_setaffinity(0, {other})
    with subjects.upstream(other) as upstream:
        direct = uvloop.run(streams(upstream, Turn(), plan.events))
        starts = [(start, Results(name)) for name, start in choose(chosen, core, upstream.port).items()]
        for start, _ in starts:
            with start():
                pass  # a first start compiles, and is not counted
        for number in range(count):
            print(f"round {number + 1} of {count}", file=sys.stderr, flush=True)
            round_of(starts[number % len(starts) :] + starts[: number % len(starts)], plan)
    hop, *others = [results for _, results in starts]
    judged = list(report.verdicts(hop, others[0], direct))
    text = f"\n{report.table(hop, others)}\n{report.budgets(judged)}\n{machine()}"
    print(text)
    if chosen.write:
        report.write(text + "\n")
    return int(chosen.check and not all(verdict.met for verdict in judged))


if __name__ == "__main__":
    sys.exit(main())
