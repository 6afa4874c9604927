"""What is kept of an answer are its bytes, however little of them stays in memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.kept import NOTHING, Kept
from gateway.core.relay import Relay
from gateway.core.sse import SSEFramer
from gateway.core.view import Completion
from gateway.providers.openai.chat import ChatResponse
from gateway.providers.openai.chat_request import ChatRequest


def frame(text: str, model: str = "m", more: str = "") -> bytes:
    delta = f'{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}'
    return f'data: {{"id":"c","model":"{model}","choices":[{delta}]{more}}}\n\n'.encode()


def relayed(chunks: list[bytes], limit: int, *, gate: bool = False) -> Kept:
    adapter = ChatResponse(ChatRequest(b'{"stream":true}'), streamed=True)
    relay = Relay(SSEFramer(1 << 20), adapter, Completion(), gate=gate)
    relay.kept = Kept(limit)
    for chunk in chunks:
        relay.feed(chunk)
    relay.close()
    return relay.kept


@pytest.mark.parametrize("gate", [False, True])
def test_texts_are_put_back_into_what_stood_around_them(gate):
    chunks = [frame(f"t {number} é ☂") for number in range(600)]
    kept = relayed(chunks, 1 << 20, gate=gate)
    assert kept._texts is not None
    assert len(kept._chunks) < 5, "all but the first ones are texts"
    assert kept.take() == (b"".join(chunks), False)
    assert kept.take() == (b"".join(chunks), False)


def test_other_frames_stand_where_they_came():
    chunks = [frame("a"), frame("b"), frame("c"), b": ping\n\n", frame("d"), frame("e", "n"), frame("f", "n")]
    chunks += [frame("g"), frame("h"), frame("i"), frame("j")[:20], frame("j")[20:], b"data: [DONE]\n\n"]
    assert relayed(chunks, 1 << 20).take() == (b"".join(chunks), False)


def test_padded_frames_are_kept_as_they_are():
    chunks = [frame(f"t{number}", more=f',"obfuscation":"{"x" * number}"') for number in range(40)]
    kept = relayed(chunks, 1 << 20)
    assert kept._texts is None
    assert kept.take() == (b"".join(chunks), False)


def test_no_more_than_the_limit_is_kept():
    chunks = [frame(f"t{number:03}") for number in range(100)]
    each = len(chunks[0])
    for chunks_kept in (1, 2, 5, 60):
        whole, cut = relayed(chunks, chunks_kept * each - 3).take()
        assert (whole, cut) == (b"".join(chunks[:chunks_kept]), True)
    assert relayed(chunks, 0).take() == (b"", True)
    assert NOTHING.take() == (b"", True)


def test_many_small_chunks_are_few_in_memory():
    kept = Kept(1 << 20)
    for number in range(1000):
        kept.add(b"%d," % number)
    assert len(kept._chunks) <= 257
    assert kept.take() == (b"".join(b"%d," % number for number in range(1000)), False)


@given(
    st.lists(st.tuples(st.text(max_size=6), st.sampled_from("mn"), st.booleans()), max_size=40), st.booleans()
)
def test_whatever_comes_is_what_is_kept(pieces, gate):
    chunks = [
        frame(text.replace("\\", "").replace('"', "").replace("\n", ""), model) if whole else b": \xff\n\n"
        for text, model, whole in pieces
        if text.isprintable()
    ]
    fed = relayed(chunks, 1 << 20, gate=gate).take()[0]
    assert fed == b"".join(chunks)
