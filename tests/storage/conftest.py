"""The storage suite runs on both databases."""

import pytest

from gateway.storage.database import Database

KEY = b"a key for the hashes of bodies.."


@pytest.fixture
async def database(url):
    opened = Database(url, KEY)
    await opened.open()
    yield opened
    await opened.close()
