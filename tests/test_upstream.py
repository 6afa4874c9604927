"""The way to a provider: how long a connection may take, whatever it is that takes long."""

import asyncio
import socket
import time

import aiohttp
import pytest

from gateway.core.errors import UpstreamUnreachable
from gateway.settings import Timeouts
from gateway.upstream import Upstream

CONNECT = 0.3


@pytest.fixture
async def upstream():
    upstream = Upstream(Timeouts(connect=CONNECT))
    await upstream.open()
    yield upstream
    await upstream.close()


async def failed(upstream, url):
    """Ask in vain; return the error, and how long it took."""
    began = time.monotonic()
    with pytest.raises(UpstreamUnreachable) as caught:
        await upstream.send("GET", url, [], b"", upstream.limits("any"))
    return caught.value, time.monotonic() - began


def resolving(monkeypatch, seconds):
    """Let a name server take its time, and then have no answer."""
    asked = []

    async def resolve(_self, host, _port=0, family=socket.AF_INET):
        asked.append((host, family))
        await asyncio.sleep(seconds)
        raise OSError(None, "no answer")

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
    return asked


async def test_resolving_a_name_is_part_of_connecting(upstream, monkeypatch):
    asked = resolving(monkeypatch, 5)
    error, took = await failed(upstream, "http://slow.invalid/")
    assert "timeouts.connect" in error.message
    assert error.attempts == len(asked) == 1
    assert CONNECT <= took < CONNECT + 0.2


async def test_a_second_attempt_to_connect_has_what_the_first_one_left(upstream, monkeypatch):
    asked = resolving(monkeypatch, CONNECT * 0.9)
    error, took = await failed(upstream, "http://late.invalid/")
    assert error.attempts == len(asked) == 2
    assert CONNECT <= took < CONNECT + 0.2


async def test_a_name_that_does_not_exist_is_asked_for_twice(upstream, monkeypatch):
    asked = resolving(monkeypatch, 0)
    error, took = await failed(upstream, "http://nowhere.invalid/")
    assert "can't be resolved" in error.message
    assert error.attempts == len(asked) == 2
    assert took < CONNECT
