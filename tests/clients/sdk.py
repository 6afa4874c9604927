"""The vendors' official clients, pointed at a gateway and told not to repeat anything."""

from typing import Any, Literal

import anthropic
import openai
from google import genai
from google.genai import types

from tests.harness.canaries import CLIENT_KEYS
from tests.harness.process import Gateway

Door = Literal["prefix", "root"]
"""Below the provider's prefix, or at the gateway's root for clients that can only change the host."""

_ROOTS = {"openai": "/v1", "anthropic": "", "gemini": ""}


def url(gateway: Gateway, provider: str, door: Door = "prefix", agent: str = "") -> str:
    """The base URL that a person configures."""
    path = f"/v1/{provider}" if door == "prefix" else _ROOTS[provider]
    return f"http://127.0.0.1:{gateway.port}{path}" + (f"/@{agent}" if agent else "")


def openai_client(
    gateway: Gateway, door: Door = "prefix", agent: str = "", provider: str = "openai", **options: Any
) -> openai.OpenAI:
    options = {"api_key": CLIENT_KEYS["openai"], "max_retries": 0} | options
    return openai.OpenAI(base_url=url(gateway, provider, door, agent), **options)


def async_openai_client(gateway: Gateway, door: Door = "prefix", **options: Any) -> openai.AsyncOpenAI:
    options = {"api_key": CLIENT_KEYS["openai"], "max_retries": 0} | options
    return openai.AsyncOpenAI(base_url=url(gateway, "openai", door), **options)


def anthropic_client(
    gateway: Gateway, door: Door = "prefix", agent: str = "", **options: Any
) -> anthropic.Anthropic:
    options = {"api_key": CLIENT_KEYS["anthropic"], "max_retries": 0} | options
    return anthropic.Anthropic(base_url=url(gateway, "anthropic", door, agent), **options)


def async_anthropic_client(
    gateway: Gateway, door: Door = "prefix", **options: Any
) -> anthropic.AsyncAnthropic:
    options = {"api_key": CLIENT_KEYS["anthropic"], "max_retries": 0} | options
    return anthropic.AsyncAnthropic(base_url=url(gateway, "anthropic", door), **options)


def gemini_client(
    gateway: Gateway, door: Door = "prefix", agent: str = "", headers: dict[str, str] | None = None
) -> genai.Client:
    http = types.HttpOptions(
        base_url=url(gateway, "gemini", door, agent),
        headers=headers,
        retry_options=types.HttpRetryOptions(attempts=1),
    )
    return genai.Client(api_key=CLIENT_KEYS["gemini"], http_options=http)
