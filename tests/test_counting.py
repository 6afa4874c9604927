"""Where tokens are counted: short texts on the loop, long ones and the first of all in a thread."""

import threading

import pytest

from gateway import counting
from gateway.core import tokens


@pytest.mark.parametrize(
    ("size", "loaded", "here"), [(50_000, True, True), (50_001, True, False), (1, False, False)]
)
async def test_where(monkeypatch, size, loaded, here):
    monkeypatch.setattr(tokens, "loaded", lambda: loaded)
    thread = await counting.count(size, threading.current_thread)
    assert (thread is threading.current_thread()) is here


async def test_what_fails_there_fails_here():
    with pytest.raises(ZeroDivisionError):
        await counting.count(1 << 20, lambda: 1 // 0)
