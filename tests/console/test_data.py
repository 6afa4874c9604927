"""The console's way to what is stored, when there is none."""

import pytest

from gateway.console.data import Data
from gateway.console.refusals import Refusal
from gateway.core.snapshot import Snapshots
from gateway.storage.database import Database


async def look() -> None: ...


@pytest.mark.parametrize("way", ["read", "write", "append"])
@pytest.mark.parametrize("host", ["127.0.0.1:1/x", "/x?host=/nowhere"])
async def test_a_database_that_is_gone_is_told_of_in_general_words(way, host):
    data = Data(Database(f"postgresql+asyncpg://me:s3cret@{host}", b"k" * 32), Snapshots(), look)
    with pytest.raises(Refusal) as raised:
        async with getattr(data, way)():
            pass
    assert (raised.value.status, raised.value.path) == (503, "")
    assert "Errno" not in raised.value.message
