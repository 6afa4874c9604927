"""T-TOOL-43: an answer that breaks off, at every byte of a held call, in every way in which one can."""

import pytest

from gateway.core.errors import UpstreamReset, UpstreamTimeout
from tests.attacks import plain, reader
from tests.attacks.model import CANARY, TWIN, Attack
from tests.attacks.runner import play, relay
from tests.harness.dialects import DIALECTS

pytestmark = pytest.mark.parametrize(("dialect", "stream"), plain.WAYS)


def attack(dialect: str, tool, stream: bool) -> tuple[Attack, bytes]:
    frames = plain.answer(dialect, tool, stream=stream)
    return Attack("43", "cut", dialect, stream, lambda _: frames), b"".join(frames)


def test_an_end_at_any_byte(dialect, stream):
    """The upstream ends, as if all were well; of a call that policies allow no half leaves either."""
    for tool in (CANARY, TWIN):
        made, data = attack(dialect, tool, stream)
        passed = data.find(tool.name.encode())
        for end in range(len(data)):
            got = play(made, "list", [data[:end]])
            if tool is TWIN and got.error is None:
                # What has said why it finished is complete, whatever else was to come.
                assert end >= passed or not end
                assert data[:end].startswith(got.body.rstrip()), f"cut at {end}: not what came"
                continue
            answer = reader.read(got.body, sse=got.sse) if got.whole and got.body else None
            check(dialect, got.body, answer, tool)


def test_a_failure_at_any_byte(dialect, stream):
    """The connection breaks, or nothing comes any more: nothing is read to its end, and nothing held is released."""
    for tool in (CANARY, TWIN):
        made, data = attack(dialect, tool, stream)
        for end in range(len(data)):
            being, _ = relay(made, "list")
            out = being.feed(data[:end])
            error = (UpstreamReset, UpstreamTimeout)[end % 2]("It broke.")
            ending = being.fail(error) if out and not being.done else b""
            whole = out + (ending or b"")
            answer = reader.read(whole, sse=dialect != "gemini_array") if out and ending else None
            check(dialect, whole, answer, tool)
            if answer is not None:
                assert DIALECTS[dialect].in_band_error(whole)


def test_a_client_that_leaves_at_any_byte(dialect, stream):
    """Until then it has got nothing of the call."""
    made, data = attack(dialect, CANARY, stream)
    being, _ = relay(made, "list")
    out = b"".join(being.feed(data[at : at + 1]) for at in range(len(data)))
    check(dialect, out, None, CANARY)
    assert out == b"" if not stream else data.startswith(out)


def check(dialect, data, answer, tool):
    if tool is CANARY:
        reader.check_no_canary(data, answer)
    assert tool.value.encode() not in data
    assert tool.arguments.encode() not in data
    assert answer is None or not answer.calls
