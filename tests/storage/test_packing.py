"""What is packed comes back, and what is damaged comes back as nothing."""

import random

import pytest

from gateway.storage.packing import packed, unpacked

EVENT = b'data: {"choices":[{"delta":{"content":"word %d"}}]}\n\n'


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 100_000, 3_000_000])
def test_there_and_back(size):
    for content in (bytes(size), random.Random(size).randbytes(size)):
        assert unpacked(packed(content)) == content


def test_one_after_the_other():
    contents = [EVENT * count for count in (1, 1000, 3, 500)]
    assert [unpacked(stored) for stored in map(packed, contents)] == contents


def test_a_stream_becomes_small_and_a_short_answer_is_left_alone():
    stream = b"".join(EVENT % n for n in range(1000))
    assert len(packed(stream)) < len(stream) / 10
    assert packed(b"short") == b"short"


@pytest.mark.parametrize("content", [b"\0", b"\1", b"\0\0{}", b"\1{}", b"\2{}", b" {}"])
def test_what_begins_like_a_mark_is_told_apart(content):
    assert unpacked(packed(content)) == content


@pytest.mark.parametrize("stored", [b"", b"\1", b"\1abc", packed(EVENT * 1000)[:-50]])
def test_damage_is_nothing_and_no_error(stored):
    assert unpacked(stored) in (b"", (EVENT * 1000)[: len(unpacked(stored))])
