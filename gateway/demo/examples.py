"""The commands that the demo prints: one per wire format, ready to paste."""

from gateway.demo.scenario import MODELS

_TEXT = """
The demo runs; a fake provider answers, so any key or none will do.

  Proxy    {url}
  Console  {console}

OpenAI chat completions, streamed:

  curl -N {url}/v1/openai/chat/completions -H 'Content-Type: application/json' \\
    -d '{{"model": "demo-text", "stream": true, "messages": [{{"role": "user", "content": "Hello!"}}]}}'

OpenAI responses:

  curl {url}/v1/openai/responses -H 'Content-Type: application/json' \\
    -d '{{"model": "demo-reasoning", "input": "Why is the sky blue?"}}'

Anthropic messages, with a tool:

  curl {url}/v1/anthropic/v1/messages -H 'Content-Type: application/json' -H 'anthropic-version: 2023-06-01' \\
    -d '{{"model": "demo-tool", "max_tokens": 300, "messages": [{{"role": "user", "content": "The weather?"}}]}}'

Gemini, streamed:

  curl -N '{url}/v1/gemini/v1beta/models/demo-text:streamGenerateContent?alt=sse' \\
    -H 'Content-Type: application/json' -d '{{"contents": [{{"role": "user", "parts": [{{"text": "Hello!"}}]}}]}}'

The vendors' own clients, by base URL:

  OpenAI(base_url="{url}/v1/openai", api_key="any")
  Anthropic(base_url="{url}/v1/anthropic", api_key="any")
  genai.Client(api_key="any", http_options={{"base_url": "{url}/v1/gemini"}})

Models: {models}; or the same word in the prompt.
"""


def examples(url: str, console: str) -> str:
    """Return what to paste into a terminal or a program."""
    return _TEXT.format(url=url, console=console, models=", ".join(MODELS))
