"""What a model wrote can be taken out of a decision."""

from gateway.core.decision import Decision


def test_nothing_of_it_is_left():
    decision = Decision(
        kind="call", policy="p", tool="a-secret-b", action="block_always", reason="r", call_id="secret"
    )
    assert decision.without("secret", "x") == Decision(
        kind="call", policy="p", tool="a-x-b", action="block_always", reason="r", call_id="x"
    )
    assert decision.without("else", "x") == decision
