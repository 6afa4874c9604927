"""Gateways for the fault suite: one process per configuration, started when a scenario first needs it."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.harness import places
from tests.harness.oracle import Oracle
from tests.harness.process import Gateway
from tests.harness.scenario import Rig
from tests.harness.upstream import ScriptedUpstream

LIMITS = {
    "GATEWAY_TIMEOUTS_CONNECT": "1",
    "GATEWAY_TIMEOUTS_FIRST_BYTE": "1.5",
    "GATEWAY_TIMEOUTS_GAP": "1.5",
    "GATEWAY_CLIENT_STALL": "2",
    "GATEWAY_BODY_LIMIT": "1048576",
    "GATEWAY_RECORD_BODY_LIMIT": "262144",  # what is kept of an answer counts, too
    "GATEWAY_DRAIN_ACCEPT": "0",
    "GATEWAY_DRAIN_FINISH": "1",
}

RigFor = Callable[[str], Awaitable[Rig]]


def _bases(openai: str, gemini: str, anthropic: str) -> dict[str, str]:
    return {
        "GATEWAY_OPENAI_BASE_URL": f"{openai}/v1",
        "GATEWAY_GEMINI_BASE_URL": gemini,
        "GATEWAY_ANTHROPIC_BASE_URL": anthropic,
    }


async def _unreachable(
    config: str, stack: contextlib.AsyncExitStack, folder: Path
) -> tuple[str, str, dict[str, str]]:
    """Where OpenAI and Gemini lead in this configuration, and what else it needs."""
    if config == "refused":
        port = stack.enter_context(places.closed_port())
    elif config == "black_hole":
        port = stack.enter_context(places.black_hole())
    elif config == "dns":
        return "http://nowhere.invalid", "http://nowhere.invalid", {}
    elif config == "tls_stall":
        port = stack.enter_context(places.silent_port())
        return f"https://127.0.0.1:{port}", f"https://127.0.0.1:{port}", {}
    else:
        assert config == "tls", config
        ports = []
        paths = [
            places.certificate(folder, name, host)
            for name, host in (("stranger", "localhost"), ("other", "a.invalid"))
        ]
        for path in paths:
            server = ScriptedUpstream()
            await server.start(places.server_context(path))
            stack.push_async_callback(server.stop)
            ports.append(server.port)
        # Gemini's certificate is trusted and names another host; OpenAI's nobody trusts.
        return (
            f"https://localhost:{ports[0]}",
            f"https://localhost:{ports[1]}",
            {"SSL_CERT_FILE": str(paths[1])},
        )
    return f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port}", {}


async def _start(config: str, oracle: Oracle, stack: contextlib.AsyncExitStack, folder: Path) -> Rig:
    upstream = ScriptedUpstream()
    await upstream.start()
    stack.push_async_callback(upstream.stop)
    here = f"http://127.0.0.1:{upstream.port}"
    reachable = config in {"open", "gated", "short"}
    if reachable:
        env = _bases(here, here, here)
    else:
        openai, gemini, more = await _unreachable(config, stack, folder)
        env = _bases(openai, gemini, here) | more
    if config == "short":
        env |= {"GATEWAY_TIMEOUTS_GAP": "1"}
    module = "tests.harness.gated" if config == "gated" else "gateway"
    gateway = Gateway({**LIMITS, **env, "TEST_REFUSED_TOOLS": "canary_tool"}, module)
    stack.callback(gateway.stop)
    gateway.wait_ready()
    rig = Rig(gateway, upstream, oracle, healthy="chat" if reachable else "anthropic", reachable=reachable)
    await rig.measure()
    return rig


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def rig_for(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RigFor]:
    """Return the running gateway of a configuration."""
    rigs: dict[str, Rig] = {}
    async with contextlib.AsyncExitStack() as stack:
        oracle = Oracle()
        await oracle.start()
        stack.push_async_callback(oracle.stop)

        async def get(config: str) -> Rig:
            if config not in rigs or not rigs[config].gateway.alive:
                rigs[config] = await _start(config, oracle, stack, tmp_path_factory.mktemp(config))
            return rigs[config]

        yield get
