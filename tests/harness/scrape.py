"""What a scrape shows, as Prometheus's own parser reads it."""

import asyncio
import http.client
import time
from collections import Counter
from contextlib import closing

from prometheus_client.parser import text_string_to_metric_families

from tests.harness.client import Response, exchange

DEADLINE = 3.0


class Scrape:
    """The samples of one exposition."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples = [sample for family in self.families.values() for sample in family.samples]

    def total(self, name: str, **labels: str) -> float:
        """The sum over all series of this name that have these labels, whatever else they have."""
        return sum(s.value for s in self.samples if s.name == name and labels.items() <= s.labels.items())

    def by(self, name: str, *labels: str) -> Counter[tuple[str, ...]]:
        """The same, by the values of these labels."""
        sums: Counter[tuple[str, ...]] = Counter()
        for s in self.samples:
            if s.name == name:
                sums[tuple(s.labels[label] for label in labels)] += s.value
        return sums

    def values(self, name: str, label: str) -> dict[str, float]:
        """The same, by the values of one label."""
        return {value: total for (value,), total in self.by(name, label).items()}

    @property
    def quiet(self) -> bool:
        """Whether nothing is in flight, and nothing waits to be logged or stored."""
        names = ("gateway_in_flight", "gateway_recorder_queue_records", "gateway_recorder_queue_bytes")
        return not any(map(self.total, names))


async def fetch(port: int, path: str = "/metrics") -> Response:
    """What the port answers on this path."""
    return (await exchange(port, f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())).response


async def scrape(port: int) -> Scrape:
    """What the console shows now."""
    return Scrape((await fetch(port)).body.decode())


async def settled(port: int) -> Scrape:
    """What the console shows once everything has ended."""
    end = time.monotonic() + DEADLINE
    while not (shown := await scrape(port)).quiet:
        assert time.monotonic() < end, "I10: something stays in flight, or unrecorded"
        await asyncio.sleep(0.02)
    return shown


def read_settled(port: int, token: str = "", deadline: float = DEADLINE) -> str:
    """The same as text, for who has no loop. ``token``: of the console."""
    end = time.monotonic() + deadline
    while True:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            connection.request(
                "GET", "/metrics", headers={"authorization": f"Bearer {token}"} if token else {}
            )
            response = connection.getresponse()
            text = response.read().decode()
        assert response.status == 200, text
        if Scrape(text).quiet:
            return text
        assert time.monotonic() < end, "I5: something stays in flight, or unrecorded"
        time.sleep(0.02)
