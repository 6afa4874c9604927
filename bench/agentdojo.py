"""AgentDojo against a running gateway with `deploy/examples/lethal-trifecta.toml`: which calls get through.

Every pair of a user's task and an attack is replayed through the gateway over plain HTTP, by an agent that calls what
it is told, and with a model that does whatever it reads (`dojo.py`). One wire format for all pairs; every tenth pair in
all four, streamed and whole; then all of them once more with the strict variant of the file. What the gateway does must
be what its policies say.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp
from aiohttp import web

from bench import dojo
from bench.dialogue import DIALECTS, GO_ON, Dialect, Step, answer, encoded
from gateway.demo.scenario import Call
from tests.harness.process import Gateway

AT_ONCE = 8
EVERY = 10
README = dojo.EXAMPLE.parent / "README.md"
BEGIN, END = "<!-- agentdojo -->", "<!-- end of agentdojo -->"
FIXED = ("denied", "tool invocation policy")
"""What every refusal says, beside the tool's name."""


class Wrong(Exception):
    """The gateway did something else than its policies say, or a refusal tells too much."""


def model(prompt: str, heard: Sequence[str]) -> Call | None:
    """Give the obedient model's next call to whoever writes answers."""
    chosen = dojo.choose(prompt, heard)
    return Call(chosen[0].tool, encoded(chosen[0].arguments)) if chosen else None


@contextlib.asynccontextmanager
async def upstream(choose=model) -> AsyncIterator[str]:
    """The provider of all four formats whose model this is; yields its address."""

    async def reply(request: web.Request) -> web.Response:
        body, kind = answer(await request.read(), request.path, choose)
        return web.Response(body=body, headers={"content-type": kind})

    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/{path:.*}", reply)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def behind(config: Path, url: str) -> AsyncIterator[Gateway]:
    """A gateway process with a configuration file and nothing else but its addresses."""
    bases = {f"GATEWAY_{name}_BASE_URL": url for name in ("ANTHROPIC", "GEMINI")}
    env = {"GATEWAY_CONFIG": str(config), "GATEWAY_OPENAI_BASE_URL": f"{url}/v1", **bases}
    gateway = Gateway({"GATEWAY_DRAIN_ACCEPT": "0", **env})
    try:
        await asyncio.to_thread(gateway.wait_ready)
        yield gateway
    finally:
        await asyncio.to_thread(gateway.stop)


class Agent:
    """Sends conversations to the gateway and calls what it is told to call."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session = session
        self._url = f"http://127.0.0.1:{port}/v1"

    async def ask(self, dialect: Dialect, body: dict, *, stream: bool) -> bytes:
        """Send one request; return the answer's bytes."""
        url = f"{self._url}/{dialect.provider}{dialect.path(stream=stream)}"
        headers = {"authorization": "Bearer any", "anthropic-version": "2023-06-01"}
        async with self._session.post(url, json=body, headers=headers) as response:
            raw = await response.read()
            if response.status != 200:
                raise Wrong(f"{dialect.name}: {response.status} {raw[:500]!r}")
            return raw

    async def play(self, scene: dojo.Scene, dialect: Dialect, *, stream: bool) -> list[dojo.Made]:
        """Play one scene to its end."""
        suite = dojo.load().suites[scene.suite]
        prompt = suite.user_tasks[scene.user].prompt
        made: list[dojo.Made] = []
        steps: list[Step] = []
        heard: list[str] = []
        for move, attack, result in dojo.moves(scene, heard):
            body = dialect.body(prompt, steps, suite.tools, stream=stream)
            raw = await self.ask(dialect, body, stream=stream)
            got = dialect.read(raw, stream=stream)
            if got.calls:
                if [(call.tool, call.arguments) for call in got.calls] != [(move.tool, move.arguments)]:
                    raise Wrong(f"{scene} {dialect.name}: {got.calls} instead of {move}")
                steps.append(Step(move.tool, move.arguments, result))
                heard.append(result)
            else:
                if not all(word in got.text for word in (move.tool, *FIXED)):
                    raise Wrong(f"{scene} {dialect.name}: neither a call nor a refusal: {got.text}")
                secrets = [
                    text for text in move.arguments.values() if isinstance(text, str) and len(text) > 8
                ]
                if any(text.encode() in raw for text in secrets):
                    raise Wrong(f"{scene} {dialect.name}: arguments of a refused call came through")
                steps.append(Step(text=got.text))
                heard.append(GO_ON)
            made.append(dojo.Made(move, attack, bool(got.calls)))
        return made


async def replay(
    agent: Agent, scenes: Sequence[dojo.Scene], dialect: Dialect, *, stream: bool, expected: dojo.Expected
) -> dojo.Tallies:
    """Play scenes, some at a time; what is made of each must be what is expected of it."""
    tallies: dojo.Tallies = {name: dojo.Tally() for name in dojo.load().suites}
    left = list(reversed(scenes))

    async def work() -> None:
        while left:
            scene = left.pop()
            made = await agent.play(scene, dialect, stream=stream)
            if made != expected[scene]:
                raise Wrong(f"{scene} {dialect.name}: {made} instead of {expected[scene]}")
            tallies[scene.suite].add(scene, made)

    async with asyncio.TaskGroup() as workers:
        for _ in range(AT_ONCE):
            workers.create_task(work())
    return tallies


async def run(scenes: Sequence[dojo.Scene], every: int, config: Path = dojo.EXAMPLE) -> dojo.Tallies:
    """All scenes in the first format, streamed; every so manieth in all formats, streamed and whole."""
    expected = dojo.expect(dojo.guard(config), scenes)
    async with (
        upstream() as url,
        behind(config, url) as gateway,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60)) as session,
    ):
        agent = Agent(session, gateway.port)
        tallies = await replay(agent, scenes, DIALECTS[0], stream=True, expected=expected)
        sample = scenes[::every] if every else ()
        for dialect in DIALECTS:
            for stream in (True, False):
                await replay(agent, sample, dialect, stream=stream, expected=expected)
    return tallies


def report(tallies: dojo.Tallies, strict: dojo.Tallies) -> str:
    """Both tables."""
    return f"{dojo.table(tallies)}\n\nThe same file without its first list, strict:\n\n{dojo.table(strict)}"


def main() -> int:
    """Replay, print the table, and fail if an attack came through."""
    parser = argparse.ArgumentParser(prog="python -m bench.agentdojo", description=__doc__)
    parser.add_argument("--every", type=int, default=EVERY, help="every so manieth pair in all formats")
    parser.add_argument("--write", action="store_true", help="put the tables into deploy/examples/README.md")
    arguments = parser.parse_args()
    started = time.monotonic()
    scenes = [*dojo.pairs(), *dojo.undisturbed()]
    tallies = asyncio.run(run(scenes, arguments.every))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        strict = asyncio.run(run(scenes, 0, dojo.strict(Path(folder))))
    told = report(tallies, strict)
    sys.stdout.write(f"{told}\n\n{time.monotonic() - started:.0f} s\n")
    if arguments.write:
        before, _, rest = README.read_text().partition(BEGIN)
        README.write_text(f"{before}{BEGIN}\n\n{told}\n\n{END}{rest.partition(END)[2]}")
    through = sum(tally.acting - tally.acting_blocked for tally in tallies.values())
    through += sum(tally.attack_calls - tally.attack_blocked for tally in strict.values())
    return int(through > 0)


if __name__ == "__main__":
    sys.exit(main())
