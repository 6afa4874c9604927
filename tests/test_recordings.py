"""Real exchanges through the adapters and the relay, in process: whole, byte by byte, and cut at random.

Nothing is expected of a recording but that it is read: without doubt, alike at every cut, and unchanged.
"""

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from gateway.core.provider import Provider
from gateway.providers import load
from gateway.testing import Case, cuts, load_cases, open_relay, read_request, response_view
from gateway.testing.contract import feed
from gateway.testing.conversation import check_messages
from gateway.testing.documents import differences
from tests.conftest import RECORDINGS

PROVIDERS = load()
UNREAD = {
    "bedrock": "binary event streams are not supported",
    "cohere": "its own format is not supported",
    "huggingface": "not a provider yet",
}
CASES = [
    (folder.name, case)
    for folder in (sorted(Path(RECORDINGS).iterdir()) if RECORDINGS else ())
    if folder.is_dir()
    for case in load_cases(folder)
]
each_recording = pytest.mark.parametrize(("name", "case"), CASES, ids=[case.name for _, case in CASES])


def provider_of(name: str) -> Provider:
    if name not in PROVIDERS:
        pytest.skip(UNREAD.get(name) or f"{name} is not a provider here")
    return PROVIDERS[name]


def test_recordings_are_there(recordings):
    assert len(CASES) > 100
    assert not {name for name, _ in CASES} - PROVIDERS.keys() - UNREAD.keys()


@each_recording
def test_request(name, case):
    provider = provider_of(name)
    match = case.match(provider)
    request = read_request(provider, match, case.request)
    assert request.encode() is case.request
    check_messages(case, request)
    if match.endpoint.opaque:
        return
    assert request.model
    request.set_model("another-model")
    assert len(differences(case.request, request.encode())) <= 1
    for number, result in enumerate(read_request(provider, match, case.request).tool_results):
        edited = read_request(provider, match, case.request)
        edited.set_tool_result(edited.tool_results[number], "replaced")
        changed = differences(case.request, edited.encode())
        assert changed
        assert all(path[: len(result.path)] == result.path for path in changed)
        again = read_request(provider, match, edited.encode()).tool_results
        assert len(again) == len(edited.tool_results)
        assert any("replaced" in text.text for text in again[number].texts)
        for text in result.texts:
            block = read_request(provider, match, case.request)
            block.set_text(text, "replaced")
            assert differences(case.request, block.encode())


@each_recording
def test_answer(name, case):
    provider = provider_of(name)
    match = case.match(provider)
    if match.endpoint.opaque or case.status >= 400:
        assert case.status < 400 or provider.error_kind(case.status, case.response)
        return
    views = Counter()
    every_byte = [case.response[n : n + 1] for n in range(len(case.response))]
    for cut in (every_byte, *cuts(case.response, case.name, rounds=10)):
        views[observed(provider, case, cut)] += 1
        if match.endpoint.carries_calls:
            views[gated(provider, case, cut)] += 1
    assert len(views) == 1, views


def observed(provider: Provider, case: Case, cut: list[bytes]) -> bytes:
    match = case.match(provider)
    request = read_request(provider, match, case.request)
    relay, completion = open_relay(match, request, case.content_type, gate=False)
    passed = []
    for chunk in cut:
        ready = relay.feed(chunk)
        # A whole body, and a chunk that is a number of whole frames, is never copied.
        assert ready is chunk if relay.whole else ready is chunk or ready != chunk
        passed.append(ready)
    passed.append(relay.close())
    assert b"".join(passed) == case.response
    assert not (relay.whole and passed[-1])
    assert relay.complete
    assert (relay.unreadable, relay.unknown) == (0, {})
    return msgspec.json.encode(response_view(completion, relay))


def gated(provider: Provider, case: Case, cut: list[bytes]) -> bytes:
    match = case.match(provider)
    request = read_request(provider, match, case.request)
    relay, completion = open_relay(match, request, case.content_type, gate=True)
    passed = feed(relay, cut)
    assert relay.failure is None
    view = msgspec.json.encode(response_view(completion, relay))
    assert relay.held is any(not call.server_executed for call in completion.tool_calls)
    if relay.held:
        refused, other = open_relay(match, request, case.content_type, gate=True)
        answer = feed(refused, cut) + refused.refuse("not allowed")
        reader, other = open_relay(match, request, case.content_type, gate=True)
        assert feed(reader, [answer]) == answer
        assert (reader.failure, reader.held, reader.complete) == (None, False, True)
        assert other.text.endswith("not allowed")
    released = passed + relay.release()
    # Nothing follows the provider's own error, not even a terminator.
    assert released == case.response or (completion.error and case.response.startswith(released))
    return view
