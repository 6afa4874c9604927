"""Which of a tool's policies count, and what is said of them."""

import pytest

from gateway.core.entities import ToolInvocationPolicy, TrustedDataPolicy
from gateway.core.rules import REASONS, Rule, applicable, notice, refusal_text, refuses


@pytest.mark.parametrize(
    ("action", "trusted", "untrusted"),
    [
        ("allow_when_context_is_untrusted", False, False),
        ("block_when_context_is_untrusted", False, True),
        ("block_always", True, True),
        ("require_approval", True, True),
    ],
)
def test_what_refuses(action, trusted, untrusted):
    assert (refuses(action, untrusted=False), refuses(action, untrusted=True)) == (trusted, untrusted)
    assert bool(REASONS[action]) is untrusted


def test_a_result_that_is_blocked_has_a_reason_of_its_own():
    policy = TrustedDataPolicy(tool="t", action="block_always")
    assert "returns" in Rule(policy).reason
    assert Rule(ToolInvocationPolicy(tool="t", action="block_always")).reason == REASONS["block_always"]


def test_specific_ones_then_the_nearest_defaults():
    def rule(tool, *, specific=False):
        made = Rule(ToolInvocationPolicy(tool=tool, action="block_always"))
        made.specific = specific
        return made

    glob, literal, one, two = rule("*"), rule("t"), rule("t", specific=True), rule("*", specific=True)
    every = [glob, literal, one, two]
    assert applicable(every, lambda each: True) == [one, two]
    assert applicable(every, lambda each: each is two) == [two]
    assert applicable(every, lambda each: False) == [literal]
    assert applicable([glob, one], lambda each: False) == [glob]
    assert applicable([one], lambda each: False) == []


def test_what_is_said():
    text = refusal_text(("bash", "bash", "a\nb"), "No.", "id-1")
    assert text == "The call of bash, a\ufffdb was denied by a tool invocation policy. No. (interaction id-1)"
    many = refusal_text([f"t{number}" for number in range(25)], "No.", "i")
    assert many.startswith("The call of t0, t1, ")
    assert "t19 and 5 more was denied" in many
    assert notice("web", "No.") == "[The result of web was withheld by a trusted data policy. No.]"
