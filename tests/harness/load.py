"""A steady load: requests that follow each other on a few connections; what each one got is remembered."""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import aiohttp

from tests.harness.dialects import DIALECTS
from tests.harness.upstream import ScriptedUpstream, compile_script, whole

MODEL = "load-model"
INPUT_TOKENS, OUTPUT_TOKENS = 11, 7  # of every answer


@dataclass(frozen=True)
class Answer:
    """One request whose answer was read to its end."""

    id: str
    status: int
    finished: float  # time.monotonic()
    overhead: float  # milliseconds, as the gateway says


@dataclass
class Load:
    """Runs for as long as its block does."""

    port: int
    upstream: ScriptedUpstream
    connections: int = 8
    pause: float = 0.0  # seconds between two requests of a connection
    size: int = 0  # bytes that every request has more, and no other one has
    answers: list[Answer] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _stop: bool = False

    async def __aenter__(self) -> Self:
        dialect = DIALECTS["chat"]
        self.upstream.marked[MODEL.encode()] = compile_script([whole(lambda d: d.whole())], dialect)
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._tasks = [
            asyncio.get_running_loop().create_task(self._ask(number)) for number in range(self.connections)
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop = True
        await asyncio.wait(self._tasks, timeout=10)
        await self._session.close()

    async def _ask(self, number: int) -> None:
        url = f"http://127.0.0.1:{self.port}/v1/openai/chat/completions"
        count = 0
        while not self._stop:
            count += 1
            more = os.urandom(self.size // 2).hex()
            body = b'{"model":"%s","messages":[{"role":"user","content":"%d-%d %s"}]}' % (
                MODEL.encode(),
                number,
                count,
                more.encode(),
            )
            try:
                async with self._session.post(
                    url, data=body, headers={"content-type": "application/json"}
                ) as got:
                    await got.read()
                    answer = Answer(
                        got.headers["x-gateway-interaction-id"],
                        got.status,
                        time.monotonic(),
                        float(got.headers.get("x-gateway-overhead-ms", "nan")),
                    )
            except aiohttp.ClientError as problem:
                self.failures.append(repr(problem))
                await asyncio.sleep(0.05)
                continue
            self.answers.append(answer)
            await asyncio.sleep(self.pause)

    def between(self, start: float, end: float) -> list[Answer]:
        """The answers that were complete in a span of time."""
        return [answer for answer in self.answers if start <= answer.finished <= end]


def median_overhead(answers: Sequence[Answer]) -> float:
    ordered = sorted(answer.overhead for answer in answers)
    return ordered[len(ordered) // 2]
