"""Running gateways for the vendors' own clients: one process per configuration, started when first needed."""

from collections.abc import Callable, Iterator

import pytest

from tests.harness import places
from tests.harness.process import Gateway

GatewayFor = Callable[[str], Gateway]

SETTINGS: dict[str, dict[str, str]] = {
    "demo": {},
    "gated": {"TEST_REFUSED_TOOLS": "get_weather,canary_tool"},
    "required": {"GATEWAY_AUTH": "required"},
    "strict": {"GATEWAY_BODY_LIMIT": "2048", "GATEWAY_TIMEOUTS_FIRST_BYTE": "1"},
    "unreachable": {},
}


@pytest.fixture(scope="package")
def gateway_for() -> Iterator[GatewayFor]:
    """Return the running gateway of a configuration; all but one have the fake provider behind them."""
    running: dict[str, Gateway] = {}
    with places.closed_port() as closed:

        def get(config: str) -> Gateway:
            if config not in running:
                env = {"GATEWAY_DRAIN_ACCEPT": "0"} | SETTINGS[config]
                if config == "unreachable":
                    env |= {
                        f"GATEWAY_{name}_BASE_URL": f"http://127.0.0.1:{closed}"
                        for name in ("OPENAI", "ANTHROPIC", "GEMINI")
                    }
                module = "tests.harness.gated" if config == "gated" else "gateway"
                command = "serve" if config == "unreachable" else "demo"
                running[config] = Gateway(env, module, (command,)).wait_ready()
            return running[config]

        yield get
        for gateway in running.values():
            gateway.stop()


@pytest.fixture
def demo(gateway_for: GatewayFor) -> Gateway:
    return gateway_for("demo")


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key and no proxy of the developer's own reaches the clients."""
    for name in (
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "GEMINI_API_KEY",
        "GOOGLE_API_KEY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
