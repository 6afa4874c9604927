"""What several test modules share."""

import itertools
import os
from pathlib import Path

import pytest

from tests.storage.postgresql import Server

RECORDINGS = os.environ.get("GATEWAY_TEST_RECORDINGS", "")
_numbers = itertools.count()


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded exchanges; they are not part of the repository."""
    if not RECORDINGS:
        pytest.skip("GATEWAY_TEST_RECORDINGS names no folder of recorded exchanges")
    return Path(RECORDINGS)


@pytest.fixture(scope="session")
def server():
    """A PostgreSQL that runs."""
    made = Server()
    made.start()
    yield made
    made.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """The URL of a new and empty database, of either kind."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/gateway.db"
    server = request.getfixturevalue("server")
    name = f"gateway_{next(_numbers)}"
    server.sql(f"CREATE DATABASE {name}")
    return server.url(name)


ALONE = (
    "tests/bench/",
    "tests/faults/",
    "tests/test_counting.py",
    "tests/test_recorder.py",
    "tests/test_watchdog.py",
)
"""What measures time or the machine: it must not share that with other tests."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(ALONE):
            item.add_marker("alone")
