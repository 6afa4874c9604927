"""Every attack on an answer, under each kind of policies, however the network cuts it: in process, against the gate."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.attacks.catalog import ATTACKS
from tests.attacks.model import CANARY, KINDS, PASSES, REFRAMED, STOPPED, TWIN, Attack, Ending, Kind, ending
from tests.attacks.oracle import check
from tests.attacks.reader import payloads
from tests.attacks.runner import play, splits

IN_PROCESS = [attack for attack in ATTACKS if attack.encode is None]
each_kind = pytest.mark.parametrize("kind", KINDS)


@each_kind
@pytest.mark.parametrize("attack", IN_PROCESS, ids=lambda attack: attack.name)
def test_nothing_of_a_denied_call_leaves(attack, kind):
    expected = ending(attack.denied, kind)
    outputs = {}
    for split, chunks in splits(attack, CANARY):
        got = play(attack, kind, chunks)
        check(attack, CANARY, expected, got)
        outputs[split] = got.body.replace(got.interaction.id.encode(), b"ID")
    assert len(set(outputs.values())) == 1, f"the answer depends on the cuts: {outputs}"


@pytest.mark.parametrize(
    "attack",
    [one for one in IN_PROCESS if one.dialect == "chat" and one.stream and one.splits != "huge"],
    ids=lambda attack: attack.name,
)
def test_a_frame_of_usage_that_is_hidden_hides_no_call(attack):
    """The client did not ask for usage, so the gateway did, and takes it out: nothing else passes by that."""
    silent = replace(attack, request={**attack.request, "stream_options": None})
    usual = ending(attack.denied, "list")
    for _, chunks in splits(attack, CANARY):
        got = play(silent, "list", chunks)
        if usual in (PASSES, REFRAMED, STOPPED):
            assert not any(b'"usage":{' in data for data in payloads(got.body))
            continue
        check(silent, CANARY, usual, got)


def twins() -> Iterator[tuple[Attack, Kind]]:
    """Under each kind where that makes a difference; else under one of them, in turns."""
    for number, attack in enumerate(IN_PROCESS):
        if isinstance(attack.twin, Ending):
            yield attack, KINDS[number % len(KINDS)]
        elif attack.twin is not None:
            yield from ((attack, kind) for kind in KINDS)


@pytest.mark.parametrize(
    ("attack", "kind"), list(twins()), ids=lambda value: value.name if isinstance(value, Attack) else value
)
def test_an_allowed_call_passes_whole_or_not_at_all(attack, kind):
    expected = ending(attack.twin, kind)
    for _, chunks in splits(attack, TWIN):
        check(attack, TWIN, expected, play(attack, kind, chunks))
