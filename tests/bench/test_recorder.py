"""The recorder keeps up with 2,000 interactions a second, and loses none, nor anything of what was said in them."""

import sys
from dataclasses import replace

import pytest

from bench import recorder

RATE, SECONDS = 2200, 10
KEPT_UP = 2000
"""Records each second, on average until all were stored: as slow as the machine of the tests may be."""


def test_it_keeps_up(tmp_path, capsys):
    kept = recorder.run(tmp_path, RATE, SECONDS)
    with capsys.disabled():
        sys.stdout.write(f"\n{kept.table()}\n")
    kept.judge(rate=KEPT_UP, lag=5.0)
    assert kept.problems == []
    assert kept.states["enqueued"] == kept.states["committed"] == RATE * SECONDS


def test_it_sees_what_is_missing(tmp_path, monkeypatch):
    made = recorder.response_body
    monkeypatch.setattr(recorder, "PATIENCE", 0.5)
    asked = []

    def response_body(n):
        asked.append(n)
        return made(n if len(asked) <= 100 else n + 1)  # when it is read back, another one is expected

    monkeypatch.setattr(recorder, "response_body", response_body)
    kept = recorder.run(tmp_path, 1000, 0.1)
    assert kept.unreadable == 100
    kept.judge(rate=0, lag=5)
    assert kept.problems == ["0 bodies were dropped, 100 can't be read"]


GOOD = recorder.Kept(
    count=10,
    rate=2000,
    states={"committed": 10, "dropped": 0},
    dropped_bodies=0,
    stored_rate=1990,
    lag=0.1,
    late=0.01,
    loop=0.1,
    cpu=0.2,
)


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        ({}, 0),
        ({"states": {"committed": 9, "dropped": 0}}, 1),
        ({"states": {"committed": 10, "dropped": 1}}, 1),
        ({"dropped_bodies": 1}, 1),
        ({"unreadable": 1}, 1),
        ({"stored_rate": 1800}, 1),
        ({"lag": 1.1}, 1),
    ],
)
def test_what_is_a_problem(change, problems):
    kept = replace(GOOD, **change, problems=[])
    kept.judge(rate=1900, lag=1)
    assert len(kept.problems) == problems
    assert "| Records handed over | 2,000 a second |" in kept.table()
