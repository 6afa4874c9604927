"""What several test modules share."""

import os
from pathlib import Path

import pytest

RECORDINGS = os.environ.get("GATEWAY_TEST_RECORDINGS", "")


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded exchanges; they are not part of the repository."""
    if not RECORDINGS:
        pytest.skip("GATEWAY_TEST_RECORDINGS names no folder of recorded exchanges")
    return Path(RECORDINGS)
