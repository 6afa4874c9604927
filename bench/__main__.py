"""Measure the gateway beside the bare hop: `python -m bench --help`."""

import argparse
import asyncio
import contextlib
import os
import platform
import sys
from importlib.metadata import version

import uvloop

from bench import load, report, subjects
from bench.report import LARGE, MEDIUM, SMALL, Results
from bench.subjects import Process

STREAMS, GAP = 200, 20  # streams at once, milliseconds between events


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, help="rounds, each with every subject (11; quick: 3)")
    parser.add_argument(
        "--quick", action="store_true", help="about 20 s: short rounds, noisy ratios, gated gateway only"
    )
    parser.add_argument(
        "--hop-only", action="store_true", help="a second hop in the gateway's place: the noise"
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 if a budget was missed")
    parser.add_argument("--write", action="store_true", help="put the tables into bench/README.md")
    return parser.parse_args()


async def plain(process: Process, size: int, *, quick: bool) -> load.Plain:
    connections = {SMALL: 32, MEDIUM: 8, LARGE: 4}[size]
    seconds = 0.2 if quick else 0.5
    return await load.plain(process.port, process.cpu, connections=connections, seconds=seconds, size=size)


async def streams(process: Process, *, quick: bool) -> load.Streams:
    events = 60 if quick else 100  # of which the first 25 pass while the streams begin
    measured = await load.streams(process.port, process.cpu, streams=STREAMS, events=events, gap=GAP)
    await asyncio.sleep(0.1)  # the closed connections are cleaned up before another one's turn
    return measured


async def rounds(processes: list[Process], results: list[Results], count: int, *, quick: bool) -> None:
    """Each measurement side by side, and in every other round in the other order: what disturbs hits all alike."""
    pairs = list(zip(processes, results, strict=True))
    for number in range(count):
        print(f"\rround {number + 1} of {count} ", end="", file=sys.stderr, flush=True)
        for size in (SMALL, MEDIUM, LARGE):
            for process, its in pairs:
                its.plain[size].append(await plain(process, size, quick=quick))
        for process, its in pairs:
            its.streams.append(await streams(process, quick=quick))
        pairs.reverse()
    print(file=sys.stderr)


def factories(chosen: argparse.Namespace, core: int, upstream_port: int) -> dict:
    """How to start each subject; the first one is what the others are compared with."""
    found = {"hop": lambda: subjects.hop("hop", core, upstream_port)}
    if chosen.hop_only:
        return found | {"hop again": lambda: subjects.hop("hop again", core, upstream_port)}
    found["gateway"] = lambda: subjects.gateway("gateway", core, upstream_port, gated=True)
    if not chosen.quick:
        found["ungated"] = lambda: subjects.gateway("ungated", core, upstream_port, gated=False)
    return found


def machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "uvloop", "msgspec"))
    return f"Python {platform.python_version()}, {packages}; {os.cpu_count()} cores, {platform.machine()}.\n"


def main() -> int:
    chosen = options()
    count = chosen.rounds or (3 if chosen.quick else 11)
    core, other = subjects.cores()
    os.sched_setaffinity(0, {other})
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(subjects.upstream(other))
        direct = uvloop.run(streams(upstream, quick=chosen.quick))
        found = factories(chosen, core, upstream.port)
        results = [Results(name) for name in found]
        for its, start in zip(results, found.values(), strict=True):
            for attempt in range(2 if chosen.quick else 4):
                with start() as process:
                    if attempt:  # the first one compiles
                        its.starts.append(process.start)
        processes = [stack.enter_context(start()) for start in found.values()]
        uvloop.run(rounds(processes, results, count, quick=chosen.quick))
        for process, its in zip(processes, results, strict=True):
            its.resident = process.resident()
    hop, *others = results
    judged = list(report.verdicts(hop, others[0], direct))
    text = f"\n{report.table(hop, others)}\n{report.budgets(judged)}\n{machine()}"
    print(text)
    if chosen.write:
        report.write(text + "\n")
    return int(chosen.check and not all(verdict.met for verdict in judged))


if __name__ == "__main__":
    sys.exit(main())
