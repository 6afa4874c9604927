"""What must hold of an answer that left the gateway, by what the attack says becomes of it."""

import json  # noqa: TID251  # another parser than the gateway's

from tests.attacks import reader
from tests.attacks.model import FAILED, PASSES, REFRAMED, REFUSED, STOPPED, UNJUDGED, Attack, Ending, Tool
from tests.attacks.policies import REASON
from tests.attacks.runner import Played, frames
from tests.harness.dialects import DIALECTS


def check(attack: Attack, tool: Tool, expected: Ending, got: Played) -> None:
    sent = b"".join(frames(attack.build, tool))
    if expected is PASSES:
        assert got.error is None, got.error
        assert got.body == sent, "the answer was changed"
        return
    if expected is REFRAMED:
        assert got.error is None, got.error
        before, after = reader.payloads(sent), reader.payloads(got.body)
        assert [_value(one) for one in before] == [_value(one) for one in after]
        reader.read(got.body, sse=got.sse)
        return
    if expected is STOPPED:
        assert got.error is None, got.error
        assert sent.startswith(got.body)
        assert got.body
        reader.check_no_canary(got.body, None)
        return
    answer = reader.read(got.body, sse=got.sse) if got.whole and got.body else None
    reader.check_no_canary(got.body, answer)
    assert answer is None or not answer.calls, answer.calls
    if expected is REFUSED:
        assert got.error is None, got.error
        assert answer is not None
        _check_refusal(attack, answer, got)
        return
    if expected is FAILED:
        assert got.error is None, got.error
        assert got.interaction.completion.error is not None
        return
    assert got.error is not None, "it was judged"
    assert got.error.outcome == ("not_evaluated" if expected is UNJUDGED else "upstream_protocol"), got.error
    _check_error(attack, got)


def _value(payload: bytes) -> object:
    return payload.strip() if payload.strip() == b"[DONE]" else json.loads(payload)


def _check_refusal(attack: Attack, answer: reader.Read, got: Played) -> None:
    i = got.interaction
    text = reader.said(attack.dialect, answer)
    refusal = i.refusal or ""
    assert refusal in text, text[-300:]
    for words in ("denied", "tool invocation policy", i.id):
        assert words in refusal
    assert i.blocked_tools
    assert any(decision.blocked for decision in i.decisions)
    if any(decision.policy not in ("default", "tool-name") and decision.blocked for decision in i.decisions):
        assert REASON in refusal or "can't be judged" in refusal or "not" in refusal, refusal
    reader.check_finished(attack.dialect, answer, sse=got.sse)


def _check_error(attack: Attack, got: Played) -> None:
    assert got.error is not None
    dialect = DIALECTS[attack.dialect]
    if got.sse or (attack.dialect == "gemini_array" and got.body.startswith(b"[")):
        assert dialect.in_band_error(got.body), got.body[-300:]
    elif got.whole and got.body:
        dialect.check_error(got.error.status, got.body)
