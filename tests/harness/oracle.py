"""The vendors' official SDKs as judges: what they make of the very bytes that a raw client received."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import anthropic
import openai
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

from tests.harness.client import Exchange
from tests.harness.dialects import Dialect
from tests.harness.upstream import ScriptedUpstream, fin, rst, send

# What an SDK raises for an error that it understood as one of the API's.
TYPED: tuple[type[Exception], ...] = (openai.APIError, anthropic.APIError, genai_errors.APIError)
DEADLINE = 10.0


@dataclass
class Seen:
    """What an application behind the SDK sees."""

    text: str = ""
    calls: list[str] = field(default_factory=list)
    error: Exception | None = None
    failed: bool = False  # the API's own words for a failed answer, yielded rather than raised


class Oracle:
    """Replays a recorded exchange to the SDK of its dialect."""

    def __init__(self) -> None:
        self._replay = ScriptedUpstream()

    async def start(self) -> None:
        await self._replay.start()
        url = f"http://127.0.0.1:{self._replay.port}"
        self._openai = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0, timeout=DEADLINE)
        self._anthropic = anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0, timeout=DEADLINE)
        options = genai_types.HttpOptions(base_url=url, timeout=int(DEADLINE * 1000))
        self._genai = genai.Client(api_key="k", http_options=options)

    async def stop(self) -> None:
        await self._openai.close()
        await self._anthropic.close()
        await self._genai.aio.aclose()
        self._genai.close()
        await self._replay.stop()

    def reads(self, dialect: Dialect, *, stream: bool) -> bool:
        """google-genai always asks for server-sent events: nothing of the vendor's reads the array form."""
        return not (stream and dialect.name == "gemini_array")

    async def see(self, dialect: Dialect, exchange: Exchange, *, stream: bool) -> Seen:
        ending = rst() if exchange.ended == "reset" else fin()

        async def replay(turn: Any) -> None:
            await send(exchange.raw).play(turn)
            await ending.play(turn)

        self._replay.queue.append(replay)
        seen = Seen()
        try:
            async with asyncio.timeout(DEADLINE):
                await getattr(self, f"_see_{dialect.name.removesuffix('_array')}")(dialect, stream, seen)
        except Exception as error:
            seen.error = error
        finally:
            await self._replay.reset()
        return seen

    async def _see_chat(self, dialect: Dialect, stream: bool, seen: Seen) -> None:
        answer = await self._openai.chat.completions.create(
            model=dialect.model, messages=[{"role": "user", "content": "Hi"}], stream=stream
        )
        if not isinstance(answer, openai.AsyncStream):
            self._read_message(answer.choices[0].message, seen)
            return
        async for chunk in answer:
            for choice in chunk.choices:
                self._read_message(choice.delta, seen)

    def _read_message(self, message: Any, seen: Seen) -> None:
        seen.text += message.content or ""
        for call in message.tool_calls or ():
            if call.function and call.function.name:
                seen.calls.append(call.function.name)
        if message.function_call and message.function_call.name:
            seen.calls.append(message.function_call.name)

    async def _see_responses(self, dialect: Dialect, stream: bool, seen: Seen) -> None:
        answer = await self._openai.responses.create(model=dialect.model, input="Hi", stream=stream)
        if not isinstance(answer, openai.AsyncStream):
            self._read_output(answer.output, seen)
            seen.text = answer.output_text
            return
        async for event in answer:
            if event.type == "response.output_text.delta":
                seen.text += event.delta
            elif event.type == "response.output_item.added":
                self._read_output([event.item], seen)
            elif event.type == "response.completed":
                self._read_output(event.response.output, seen)
            elif event.type == "response.failed":
                seen.failed = True

    def _read_output(self, items: list[Any], seen: Seen) -> None:
        seen.calls += [item.name for item in items if item.type == "function_call"]

    async def _see_anthropic(self, dialect: Dialect, stream: bool, seen: Seen) -> None:
        answer = await self._anthropic.messages.create(
            model=dialect.model, max_tokens=64, messages=[{"role": "user", "content": "Hi"}], stream=stream
        )
        if not isinstance(answer, anthropic.AsyncStream):
            for block in answer.content:
                self._read_block(block, seen)
            return
        async for event in answer:
            if event.type == "content_block_start":
                self._read_block(event.content_block, seen)
            elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                seen.text += event.delta.text

    def _read_block(self, block: Any, seen: Seen) -> None:
        if block.type == "text":
            seen.text += block.text
        elif block.type == "tool_use":
            seen.calls.append(block.name)

    async def _see_gemini(self, dialect: Dialect, stream: bool, seen: Seen) -> None:
        models = self._genai.aio.models
        if not stream:
            self._read_candidates(await models.generate_content(model=dialect.model, contents="Hi"), seen)
            return
        async for chunk in await models.generate_content_stream(model=dialect.model, contents="Hi"):
            self._read_candidates(chunk, seen)

    def _read_candidates(self, chunk: Any, seen: Seen) -> None:
        for candidate in chunk.candidates or ():
            for part in (candidate.content and candidate.content.parts) or ():
                seen.text += part.text or ""
                if part.function_call:
                    seen.calls.append(part.function_call.name or "")
