"""What a run came to: a table, the ratios to the bare hop, and which budgets were met."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.load import Plain, Streams

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"
SMALL, MEDIUM, LARGE = 1_000, 100_000, 1_000_000


@dataclass
class Results:
    """All that was measured of one subject, round by round."""

    name: str
    hop: "Results | None" = None
    """The hop that it was measured beside; none: it is one."""
    plain: dict[int, list[Plain]] = field(default_factory=lambda: {SMALL: [], MEDIUM: [], LARGE: []})
    streams: list[Streams] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    serving: list[float] = field(default_factory=list)  # resident, after the requests of 1 kB
    resident: list[float] = field(default_factory=list)  # after all of it


@dataclass(frozen=True)
class Row:
    """One line of the table: a value per round, and whether its ratio to the hop's means something."""

    name: str
    values: Callable[[Results], Sequence[float]]
    format: str
    ratio: bool = True


def plain_cpu(size: int, scale: float) -> Callable[[Results], list[float]]:
    return lambda results: [scale * round_.cpu_each for round_ in results.plain[size]]


ROWS = (
    PLAIN := Row("CPU per plain request, 1 kB", plain_cpu(SMALL, 1e6), "{:.0f} µs"),
    Row("Plain requests per second and core", lambda r: [each.rate for each in r.plain[SMALL]], "{:,.0f}"),
    Row("CPU per request of 100 kB", plain_cpu(MEDIUM, 1e3), "{:.2f} ms"),
    BODY := Row("CPU per request of 1 MB", plain_cpu(LARGE, 1e3), "{:.2f} ms"),
    EVENT := Row(
        "CPU per streamed event", lambda r: [1e6 * each.cpu_each for each in r.streams], "{:.1f} µs"
    ),
    FIRST := Row(
        "Time to first event, median",
        lambda r: [1e3 * each.median for each in r.streams],
        "{:.2f} ms",
        ratio=False,
    ),
    Row(
        "Time to first event, p99", lambda r: [1e3 * each.p99 for each in r.streams], "{:.2f} ms", ratio=False
    ),
    START := Row("Start to first answer", lambda r: r.starts, "{:.2f} s", ratio=False),
    SERVING := Row("Resident after requests of 1 kB", lambda r: r.serving, "{:.0f} MB", ratio=False),
    MEMORY := Row("Resident after all of it", lambda r: r.resident, "{:.0f} MB", ratio=False),
)


def median(row: Row, results: Results) -> float:
    return statistics.median(row.values(results))


def ratios(row: Row, results: Results) -> list[float]:
    """The subject's value over the hop's, of each round: what disturbs a round disturbs both."""
    hop = results.hop or results
    return [mine / its for mine, its in zip(row.values(results), row.values(hop), strict=True)]


@dataclass(frozen=True)
class Verdict:
    """One budget, and what was measured."""

    name: str
    limit: str
    value: str
    met: bool


def verdicts(gateway: Results, direct: Streams) -> Iterator[Verdict]:
    """The budgets of a gateway whose every answer is gated, recorded and stored.

    Its streams are left before they end, so their tokens are counted, for which a table of 50 MB is loaded.
    """
    for row, limit in ((PLAIN, 1.4), (EVENT, 1.3)):
        ratio = statistics.median(ratios(row, gateway))
        yield Verdict(row.name, f"≤ {limit} of the hop's", f"{ratio:.2f}", ratio <= limit)
    for row, limit in ((BODY, 10), (START, 1), (SERVING, 120), (MEMORY, 210)):
        value = median(row, gateway)
        yield Verdict(row.name, "< " + row.format.format(limit), row.format.format(value), value < limit)
    added = median(FIRST, gateway) - 1e3 * direct.median
    yield Verdict("Added time to first event, median", "< 1 ms", f"{added:.2f} ms", added < 1)


def table(others: Sequence[Results]) -> str:
    """The measurements, a column for each subject; ratios are medians over rounds, with their quartiles.

    The hop's own column is from beside the first of them.
    """
    hop = others[0].hop or others[0]
    names = [hop.name, *(title for other in others for title in (other.name, "÷ hop"))]
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for row in ROWS:
        cells = [row.format.format(median(row, hop))]
        for other in others:
            cells += [
                row.format.format(median(row, other)),
                spread(ratios(row, other)) if row.ratio else "",
            ]
        lines.append(f"| {row.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def spread(values: Sequence[float]) -> str:
    if len(values) < 3:
        return f"{statistics.median(values):.2f}"
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def budgets(judged: Sequence[Verdict]) -> str:
    lines = ["| budget | limit | measured | |", "|---|---:|---:|---|"]
    lines += [f"| {v.name} | {v.limit} | {v.value} | {'met' if v.met else '**missed**'} |" for v in judged]
    return "\n".join(lines) + "\n"


def write(text: str, path: Path = README) -> None:
    """Put the text between the markers of the README."""
    before, _, rest = path.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise RuntimeError(f"{path.name} has no markers for the results")
    path.write_text(f"{before}{BEGIN}{text}{END}{after}")
