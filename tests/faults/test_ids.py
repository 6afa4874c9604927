"""The fault list and the scenarios belong together: an id without a row is a promise that nobody checks."""

from collections import Counter
from collections.abc import Sequence

from tests.faults import client_rows, upstream_rows
from tests.harness.scenario import Scenario

UPSTREAM = (*range(1, 15), 20, 21, 22, 24, 28, 30, 31, 34)
CLIENT = (1, 3, 5, 9, 11, 19, 23, 24, 30)


def _numbers(rows: Sequence[Scenario]) -> Counter[str]:
    return Counter(row.id[:4] for row in rows)


def test_every_upstream_fault_has_a_scenario() -> None:
    """Each id of the list, and each with something to expect."""
    found = _numbers(upstream_rows.ROWS)
    assert not [number for number in UPSTREAM if not found[f"U-{number:02}"]]


def test_every_client_fault_has_a_scenario() -> None:
    """Each id of the list."""
    found = _numbers(client_rows.ROWS)
    assert not [number for number in CLIENT if not found[f"C-{number:02}"]]


def test_every_row_expects_something() -> None:
    """A row that would accept any answer checks nothing."""
    for row in (*upstream_rows.ROWS, *client_rows.ROWS):
        assert row.expect.outcome, row.name
        assert row.expect.status is not None or row.expect.ended == "left" or row.expect.records, row.name
