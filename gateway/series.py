"""Metrics as they are kept here and exposed by ``aioprometheus``.

That library finds a series by the JSON of its labels and walks all buckets for each observation: 1.4 to 3 µs.
Here a family (one name) hands out its series (one set of label values), and whoever counts may keep it: to count
is an addition, to observe a bisection. Labels and cumulative buckets are made when somebody scrapes.

An empty label value means what it means to Prometheus: the label is not there.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from math import inf
from typing import Any

from aioprometheus import collectors
from aioprometheus.collectors import Registry

OTHER = "other"
_MOST = 200
_LENGTH = 128
"""Characters of a label value: of more a graph has no use."""

Samples = list[tuple[dict[str, str], Any]]
"""What a family shows: labels, and a number or, for a distribution, numbers by bucket."""


class Count:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0


class Distribution:
    """How often values fell between which bounds, and their sum."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Add a value; one that equals a bound is within it."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def sample(self) -> dict[float | str, float]:
        """Return the cumulative counts by bound, the number of values and their sum."""
        cumulative = list(accumulate(self._counts))
        buckets: dict[float | str, float] = dict(zip((*self._bounds, inf), cumulative, strict=True))
        return buckets | {"count": cumulative[-1], "sum": self._sum}


class Counter(collectors.Counter):
    """A family of counts."""

    def __init__(self, registry: Registry, name: str, doc: str, *labels: str) -> None:
        super().__init__(name, doc, registry=registry)
        self._labels = labels
        self._series: defaultdict[tuple[str, ...], Count] = defaultdict(Count)

    def series(self, *values: str) -> Count:
        """Return the count with these label values, in the order of the labels."""
        return self._series[values]

    def get_all(self) -> Samples:
        """Return what a scrape shows."""
        return [(_labelled(self._labels, values), count.value) for values, count in self._series.items()]


class Histogram(collectors.Histogram):
    """A family of distributions."""

    def __init__(
        self, registry: Registry, name: str, doc: str, *labels: str, buckets: tuple[float, ...]
    ) -> None:
        super().__init__(name, doc, registry=registry, buckets=buckets)
        self._labels = labels
        self._series: defaultdict[tuple[str, ...], Distribution] = defaultdict(lambda: Distribution(buckets))

    def series(self, *values: str) -> Distribution:
        """Return the distribution with these label values, in the order of the labels."""
        return self._series[values]

    def get_all(self) -> Samples:
        """Return what a scrape shows: of a distribution of nothing, nothing."""
        samples = ((values, each.sample()) for values, each in self._series.items())
        return [(_labelled(self._labels, values), sample) for values, sample in samples if sample["count"]]


class Gauge(collectors.Gauge):
    """A number that somebody else keeps, read when somebody scrapes."""

    def __init__(self, registry: Registry, name: str, doc: str, read: Callable[[], float]) -> None:
        super().__init__(name, doc, registry=registry)
        self._read = read

    def get_all(self) -> Samples:
        """Return what a scrape shows."""
        return [({}, self._read())]


class Tally(collectors.Counter):
    """Counts that somebody else keeps, by their label values, read when somebody scrapes."""

    def __init__(
        self,
        registry: Registry,
        name: str,
        doc: str,
        *labels: str,
        read: Callable[[], Mapping[tuple[str, ...], float]],
    ) -> None:
        super().__init__(name, doc, registry=registry)
        self._labels = labels
        self._read = read

    def get_all(self) -> Samples:
        """Return what a scrape shows."""
        return [(_labelled(self._labels, values), count) for values, count in self._read().items()]


class Bounded:
    """Values that clients or providers choose: the first 200 are labels, any further one is ``other``."""

    def __init__(self) -> None:
        self._known: set[tuple[str, ...]] = set()

    def __call__(self, value: str, *beside: str) -> str:
        """Return the label value for this one; ``beside``: labels with each of which it counts anew."""
        value = value[:_LENGTH]
        key = (value, *beside)
        if key not in self._known:
            if len(self._known) >= _MOST:
                return OTHER
            self._known.add(key)
        return value


def _labelled(labels: Sequence[str], values: Sequence[str]) -> dict[str, str]:
    return dict(zip(labels, map(_escaped, values), strict=True))


def _escaped(value: str) -> str:
    """Return a label value as it stands between quotation marks: the library writes it as it is."""
    # A lone surrogate can't be written at all.
    value = value.encode("utf-8", "backslashreplace").decode()
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
