"""Chores of the archive come back after whatever went wrong."""

import asyncio

import pytest

from gateway.settings import SettingsError
from gateway.storage import archive as archive_module
from gateway.storage.archive import Archive
from gateway.storage.queries import listing, search
from gateway.storage.queries.listing import Filter
from tests.storage.made import record


@pytest.mark.parametrize("error", [SettingsError("the database is gone"), ValueError("odd")])
async def test_what_could_not_be_indexed_is_indexed_later(database, tmp_path, monkeypatch, error):
    """Without any other record that would remind of it."""
    right, failures = search.unread, [error, error]

    async def unread(connection, limit):
        if failures:
            raise failures.pop()
        return await right(connection, limit)

    monkeypatch.setattr(search, "unread", unread)
    monkeypatch.setattr(archive_module, "_LATER", 0.05)
    archive = Archive(database, tmp_path, 0.0, str)
    await archive.open()
    try:
        archive.store([], [record(text="a word to be found")])
        async with asyncio.timeout(10):
            found = []
            while not found:
                await asyncio.sleep(0.05)
                async with database.read() as connection:
                    found, _ = await listing.page(connection, Filter(q="word to be"), 5)
        assert not failures
    finally:
        await archive.close()
