"""Tokens: the shipped table is OpenAI's own, loaded late and once, and counts whatever text there is."""

import subprocess
import sys
import threading

import pytest
import tiktoken_ext.openai_public as published
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import tokens


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("hello world", 2),
        ("antidisestablishmentarianism", 6),
        ("Ünïcödé ☂ 東京", 8),
        ("1234567", 3),
        ("<|endoftext|>", 7),
        ("a" * 200_000, 25_000),
        ("\ud800", 1),
    ],
)
def test_known_counts(text, count):
    assert tokens.count([text]) == count


def test_texts_are_counted_together():
    assert tokens.count(["hello", " world", ""]) == 2
    assert tokens.count(iter(())) == 0


def test_the_encoding_is_the_published_one(monkeypatch):
    asked = {}
    monkeypatch.setattr(
        published, "load_tiktoken_bpe", lambda _, expected_hash: asked.update(sha=expected_hash)
    )
    constructed = published.o200k_base()
    assert constructed["pat_str"] == tokens._PATTERN
    assert asked["sha"] == tokens._SHA256
    tokens.count(["x"])
    assert tokens._table.encoding.max_token_value == 199_997


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_the_upper_bound_holds(text):
    assert tokens.count([text]) <= tokens.at_most([text])


@pytest.mark.parametrize(
    ("text", "guess"),
    [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("☂☂", 2), ("The answer is forty-two. ", 7)],
)
def test_a_guess_goes_by_size(text, guess):
    assert tokens.guess([text]) == guess


def test_the_upper_bound_needs_no_table():
    assert tokens.at_most(["abc", "é☂", "\ud800"]) >= 3 + 5 + 1


def test_nothing_is_loaded_before_the_first_count():
    code = (
        "import sys; from gateway.core import tokens; tokens.at_most(['x']); "
        "assert not tokens.loaded() and 'tiktoken' not in sys.modules; "
        "tokens.count(['x']); assert tokens.loaded()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_table_is_in_memory_once():
    code = (
        "import gc, psutil, tiktoken; from gateway.core import tokens; "
        "of = psutil.Process().memory_info; before = of().rss; "
        "tokens.count(['x']); gc.collect(); print(of().rss - before)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert 20e6 < int(loaded.stdout) < 65e6


def test_threads_load_the_table_once(monkeypatch):
    loads = []
    read = tokens._read
    monkeypatch.setattr(tokens, "_read", lambda: loads.append(1) or read())
    table = tokens._Table()
    threads = [threading.Thread(target=table.load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == [1]


def test_a_damaged_table_is_not_used(monkeypatch):
    monkeypatch.setattr(tokens, "_SHA256", "0" * 64)
    with pytest.raises(ValueError, match="damaged"):
        tokens._read()
