"""Every answer that ever got past the gate, or might have: replayed on each run, however it is cut."""

import pytest

from tests.fuzz.case import CORPUS, FORMATS, dump, load
from tests.fuzz.oracle import check

FILES = sorted(CORPUS.rglob("*.json"))


def test_each_format_has_its_cases():
    assert {file.parent.name for file in FILES} == set(FORMATS)


@pytest.mark.parametrize("file", FILES, ids=[f"{file.parent.name}/{file.stem}" for file in FILES])
def test_nothing_gets_past_the_gate_again(file):
    case = load(file.read_bytes())
    assert case.format == file.parent.name
    assert load(dump(case)) == case
    whole, bytewise = (), tuple(range(len(case.body)))
    for cuts in {case.cuts, whole, bytewise}:
        check(type(case)(**{**{name: getattr(case, name) for name in case.__struct_fields__}, "cuts": cuts}))
