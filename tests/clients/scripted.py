"""A gateway process in front of a scripted upstream that records every byte."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from tests.harness.client import Client, Exchange, exchange
from tests.harness.dialects import DIALECTS, Dialect
from tests.harness.process import Gateway
from tests.harness.upstream import Received, ScriptedUpstream, ScriptStep, Split, compile_script, send

GATED = "tests.harness.gated"
_PROVIDERS = {"OPENAI": "/v1", "ANTHROPIC": "", "GEMINI": "", "GROQ": "/v1", "MISTRAL": "/v1"}


def http(body: bytes, head: str = "HTTP/1.1 200 OK\r\ncontent-type: application/json") -> bytes:
    """A response of known length."""
    return f"{head}\r\ncontent-length: {len(body)}\r\n\r\n".encode("latin-1") + body


def request(
    target: str,
    body: bytes | None = None,
    headers: Sequence[str] = (),
    method: str = "",
) -> bytes:
    """A request as bytes; by default a POST when there is a body."""
    lines = [
        f"{method or ('GET' if body is None else 'POST')} {target} HTTP/1.1",
        "host: 127.0.0.1",
        *headers,
    ]
    if body is not None:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


class Scripted:
    """One running gateway, and the upstream behind each of its providers."""

    def __init__(self, gateway: Gateway, upstream: ScriptedUpstream) -> None:
        self.gateway = gateway
        self.upstream = upstream

    async def reset(self) -> None:
        """Forget what was; a transport that has closed by itself can't be aborted once more."""
        connections = self.upstream.connections
        connections[:] = [one for one in connections if not one.transport.is_closing()]
        await self.upstream.reset()

    async def ask(
        self,
        sent: bytes,
        answer: bytes | Sequence[ScriptStep],
        *,
        dialect: Dialect = DIALECTS["chat"],
        split: Split = "event",
        client: Client | None = None,
    ) -> tuple[Exchange, Received]:
        """Send these bytes to the gateway; return what came back, and what the upstream got."""
        await self.reset()
        steps = [send(answer)] if isinstance(answer, bytes) else answer
        self.upstream.queue.append(compile_script(steps, dialect, split))
        got = await exchange(self.gateway.port, sent, client)
        assert self.upstream.requests, f"nothing reached the upstream: {got.raw[:300]!r}"
        return got, self.upstream.requests[0]

    async def refused(self, sent: bytes) -> Exchange:
        """Send these bytes; nothing of them may reach the upstream."""
        await self.reset()
        got = await exchange(self.gateway.port, sent)
        assert not self.upstream.requests
        return got

    async def record(self, got: Exchange) -> dict[str, Any]:
        """The log's line about an exchange."""
        found = re.search(rb"(?i)x-gateway-interaction-id: ([0-9a-f-]+)", got.raw)
        assert found, got.raw[:300]
        identity = found[1].decode()
        for _ in range(500):
            for record in reversed(self.gateway.interactions()):
                if record["id"] == identity:
                    return record
            await asyncio.sleep(0.01)
        raise AssertionError(f"no record of {identity}")


@contextlib.asynccontextmanager
async def scripted(env: Mapping[str, str] | None = None, module: str = "gateway") -> AsyncIterator[Scripted]:
    """Start both, and end both."""
    upstream = ScriptedUpstream()
    await upstream.start()
    bases = {
        f"GATEWAY_{name}_BASE_URL": f"http://127.0.0.1:{upstream.port}/{name.lower()}{path}"
        for name, path in _PROVIDERS.items()
    }
    gateway = Gateway({"GATEWAY_DRAIN_ACCEPT": "0"} | bases | dict(env or {}), module)
    try:
        await asyncio.to_thread(gateway.wait_ready)
        yield Scripted(gateway, upstream)
    finally:
        await asyncio.to_thread(gateway.stop)
        await upstream.stop()
