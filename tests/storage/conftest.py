"""The storage suite runs on both databases."""

import itertools

import pytest

from gateway.storage.database import Database
from tests.storage.postgresql import Server

KEY = b"a key for the hashes of bodies.."
_numbers = itertools.count()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    made = Server(tmp_path_factory.mktemp("postgresql") / "server")
    made.start()
    yield made
    made.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """The URL of a new and empty database."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/gateway.db"
    server = request.getfixturevalue("server")
    name = f"gateway_{next(_numbers)}"
    server.sql(f"CREATE DATABASE {name}")
    return server.url(name)


@pytest.fixture
async def database(url):
    opened = Database(url, KEY)
    await opened.open()
    yield opened
    await opened.close()
