"""The cost of real answers against a calculation of its own: the vendors' raw counts times their list prices.

Nothing of the gateway is used to find what is expected: the body is read as plain JSON, what each vendor means by
its counts is written down here, and so are the prices, in dollars per million tokens.
"""

import re
from datetime import UTC, datetime
from fractions import Fraction

import orjson
import pytest

from gateway.core.interaction import Interaction, new_id
from gateway.prices import Prices
from gateway.stages.cost import Cost
from gateway.testing import open_relay, read_request
from gateway.testing.contract import feed
from tests.test_recordings import CASES, PROVIDERS, each_recording, provider_of

AT = datetime(2026, 11, 1, 12, tzinfo=UTC).timestamp()
PRICES = Prices()

# input, output, cache read, cache write, and sound that is heard.
LISTED = {
    "claude-haiku-4-5": (1, 5, "0.1", "1.25"),
    "claude-opus-4-8": (5, 25, "0.5", "6.25"),
    "claude-opus-5": (5, 25, "0.5", "6.25"),
    "claude-sonnet-4": (3, 15, "0.3", "3.75"),
    "claude-sonnet-5": (2, 10, "0.2", "2.5"),
    "anthropic/claude-4.6-sonnet": (3, 15, "0.3", "3.75"),
    "zai-glm-4.7": ("2.25", "2.75"),
    "deepseek-reasoner": ("0.55", "2.19", "0.14"),
    "deepseek-v4-flash": ("0.15", "0.6", "0.003"),
    "gemini-1.5-flash": ("0.075", "0.3"),
    "gemini-2.0-flash": ("0.1", "0.4", "0.025", 0, "0.7"),
    "gemini-2.5-flash": ("0.3", "2.5", "0.03", 0, 1),
    "gemini-2.5-pro": ("1.25", 10, "0.125"),
    "gemini-3-flash-preview": ("0.5", 3, "0.05", 0, 1),
    "gemini-3-pro-preview": (2, 12, "0.2"),
    "gemini-3.5-flash": ("1.5", 9, "0.15"),
    "meta-llama/llama-4-maverick": ("0.2", "0.6"),
    "meta-llama/llama-4-scout": ("0.11", "0.34"),
    "openai/gpt-oss-120b": ("0.15", "0.6", "0.075"),
    "openai/gpt-4.1-mini": ("0.4", "1.6", "0.1"),
    "openai/gpt-4o-mini": ("0.15", "0.6", "0.075"),
    "magistral-small": ("0.5", "1.5"),
    "mistral-large": (2, 6),
    "mistral-medium": ("1.5", "7.5", "0.15"),
    "gpt-4.1": (2, 8, "0.5"),
    "gpt-4.1-mini": ("0.4", "1.6", "0.1"),
    "gpt-4.1-nano": ("0.1", "0.4", "0.025"),
    "gpt-4o": ("2.5", 10, "1.25"),
    "gpt-4o-mini": ("0.15", "0.6", "0.075"),
    "gpt-5": ("1.25", 10, "0.125"),
    "gpt-5-mini": ("0.25", 2, "0.025"),
    "gpt-5-nano": ("0.05", "0.4", "0.005"),
    "gpt-5.2": ("1.75", 14, "0.175"),
    "gpt-5.4": ("2.5", 15, "0.25"),
    "gpt-5.4-mini": ("0.75", "4.5", "0.075"),
    "gpt-5.5": (5, 30, "0.5"),
    "gpt-5.6-sol": (4, 20, "0.4", 5),
    "o4-mini": ("1.1", "4.4", "0.275"),
    "text-embedding-3-small": ("0.02", 0),
}
UNLISTED = {"groq/compound", "minimax/minimax-m2:free"}
SEARCH = {"claude": Fraction(10, 1000)}


def documents(case):
    """Return the JSON documents of an answer: one, or those of its events."""
    if case.response.lstrip()[:1] in (b"{", b"["):
        whole = orjson.loads(case.response)
        return whole if isinstance(whole, list) else [whole]
    lines = re.findall(rb"^data: ?(\{.*?)\r?$", case.response, re.MULTILINE)
    return [orjson.loads(line) for line in lines]


def openai_counts(found):
    """Chat, embeddings: the whole prompt, of which some was cached; the whole completion."""
    usages = [each["usage"] for each in found if each.get("usage")]
    usages += [each["x_groq"]["usage"] for each in found if (each.get("x_groq") or {}).get("usage")]
    if not usages:
        return None
    said = usages[-1]
    of_prompt = said.get("prompt_tokens_details") or {}
    read = of_prompt.get("cached_tokens")
    if read is None:
        read = said.get("prompt_cache_hit_tokens", said.get("num_cached_tokens")) or 0
    write = of_prompt.get("cache_write_tokens") or 0
    return {
        "input": said["prompt_tokens"] - read - write,
        "output": said.get("completion_tokens", 0),
        "read": read,
        "write": write,
    }


def responses_counts(found):
    """Responses: as chat, under other names; the last state of the response counts."""
    states = [each.get("response", each) for each in found]
    usages = [state["usage"] for state in states if isinstance(state, dict) and state.get("usage")]
    if not usages:
        return None
    said = usages[-1]
    details = said.get("input_tokens_details") or {}
    read, write = details.get("cached_tokens", 0), details.get("cache_write_tokens", 0)
    return {
        "input": said["input_tokens"] - read - write,
        "output": said["output_tokens"],
        "read": read,
        "write": write,
    }


def anthropic_counts(found):
    """Messages: the input excludes what was cached; later events correct earlier ones."""
    said = {}
    for each in found:
        usage = each.get("usage") or (each.get("message") or {}).get("usage") or {}
        said.update({name: value for name, value in usage.items() if value is not None})
    if not said:
        return None
    hour = (said.get("cache_creation") or {}).get("ephemeral_1h_input_tokens", 0)
    return {
        "input": said["input_tokens"],
        "output": said["output_tokens"],
        "read": said.get("cache_read_input_tokens", 0),
        "write": said.get("cache_creation_input_tokens", 0) - hour,
        "hour": hour,
        "searches": (said.get("server_tool_use") or {}).get("web_search_requests", 0),
        # Runs that are no messages are not in the totals.
        "others": [run for run in said.get("iterations") or () if run["type"] != "message"],
    }


def gemini_counts(found):
    """generateContent: thoughts beside the output, tools' reading beside the prompt, the cache within it."""
    usages = [each["usageMetadata"] for each in found if each.get("usageMetadata")]
    if not usages:
        return None
    said = usages[-1]
    cached = said.get("cachedContentTokenCount", 0)
    sound = sum(
        part["tokenCount"] for part in said.get("promptTokensDetails", ()) if part["modality"] == "AUDIO"
    )
    assert not cached or not sound
    return {
        "input": said["promptTokenCount"] + said.get("toolUsePromptTokenCount", 0) - cached - sound,
        "sound": sound,
        "output": said.get("candidatesTokenCount", 0) + said.get("thoughtsTokenCount", 0),
        "read": cached,
    }


def counts_and_model(case):
    found = [each for each in documents(case) if isinstance(each, dict)]
    if "Content" in case.path:
        return gemini_counts(found), next(each["modelVersion"] for each in found)
    if "/messages" in case.path:
        return anthropic_counts(found), next((e.get("message") or e)["model"] for e in found)
    if "/responses" in case.path:
        states = [each.get("response", each) for each in found]
        return responses_counts(found), next(state["model"] for state in states if state.get("model"))
    return openai_counts(found), next(each["model"] for each in found if each.get("model"))


def expected_cost(counts, model):
    """Return nano-dollars."""
    name = max((name for name in LISTED if model.startswith(name)), key=len)
    dearest = [Fraction(str(price)) for price in LISTED[name]]
    of_input, of_output = dearest[:2]
    read, write, sound = (*dearest[2:], *[None] * 3)[:3]
    total = (
        counts["input"] * of_input
        + counts["output"] * of_output
        + counts["read"] * (of_input if read is None else read)
        + counts.get("write", 0) * (write or 0)
        + counts.get("hour", 0) * of_input * 2
        + counts.get("sound", 0) * (sound or 0)
    )
    assert bool(counts.get("write")) <= bool(write)
    assert bool(counts.get("sound")) <= bool(sound)
    searches = counts.get("searches", 0) * SEARCH.get(model.partition("-")[0], 0)
    others = sum(
        expected_cost(anthropic_counts([{"usage": run}]), run["model"]) for run in counts.get("others", ())
    )
    return round(total * 1000 + searches * 10**9) + others


async def recorded(provider, case) -> Interaction:
    """Return the interaction of a recording, settled."""
    match = case.match(provider)
    i = Interaction(new_id(AT), provider, match.endpoint, {}, started_at=AT)
    i.request = read_request(provider, match, case.request)
    i.requested_model = i.request.model
    relay, completion = open_relay(match, i.request, case.content_type, gate=False)
    feed(relay, [case.response])
    i.completion = completion
    i.outcome = "ok" if completion.error is None else "upstream_status"
    await Cost(PRICES, lambda: False).on_done([i])
    return i


@each_recording
async def test_cost(name, case):
    provider = provider_of(name)
    if not is_answer(name, case):
        return
    i = await recorded(provider, case)
    counts, model = counts_and_model(case)
    if counts is None:
        assert i.usage_source in ("estimated", "none")
        return
    assert i.usage_source == "reported"
    if model in UNLISTED:
        assert (i.cost, i.unknown_price) == (None, True)
        return
    assert i.cost == expected_cost(counts, model)
    usage = i.completion.usage
    assert usage.input_tokens == counts["input"] + counts.get("sound", 0)
    assert (usage.output_tokens or 0, usage.cache_read_tokens or 0) == (counts["output"], counts["read"])


def is_answer(name, case):
    """Whether a recording is an answer that a gateway reads."""
    return name in PROVIDERS and case.status < 400 and not case.match(PROVIDERS[name]).endpoint.opaque


@pytest.mark.parametrize("kind", ["read", "write", "sound", "searches", "others"])
def test_the_recordings_have_something_of_every_kind(recordings, kind):
    answers = [case for name, case in CASES if is_answer(name, case)]
    assert any((counts_and_model(case)[0] or {}).get(kind) for case in answers)
