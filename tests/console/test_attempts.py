"""Failures per peer and minute."""

from gateway.console.attempts import Attempts


def test_one_peer_does_not_stop_another():
    attempts = Attempts(2, lambda: 0.0)
    for _ in range(2):
        assert not attempts.over("10.0.0.1")
        attempts.add("10.0.0.1")
    assert attempts.over("10.0.0.1")
    assert not attempts.over("10.0.0.2")


def test_a_minute_later_it_is_forgotten():
    now = [0.0]
    attempts = Attempts(1, lambda: now[0])
    attempts.add("x")
    assert attempts.over("x") == 60
    now[0] = 59.5
    assert attempts.over("x") == 1
    now[0] = 60.0
    assert not attempts.over("x")


def test_going_on_does_not_shorten_the_wait():
    now = [0.0]
    attempts = Attempts(1, lambda: now[0])
    for second in range(60):
        now[0] = float(second)
        attempts.add("x")
        assert attempts.over("x") == 60 - second


def test_an_ipv6_network_is_one_peer():
    attempts = Attempts(1, lambda: 0.0)
    attempts.add("2001:db8:1:2::1")
    assert attempts.over("2001:db8:1:2:ffff::2")
    assert not attempts.over("2001:db8:1:3::1")
    attempts.add("::ffff:10.0.0.1")
    assert attempts.over("::ffff:10.0.0.1")
    assert not attempts.over("::ffff:10.0.0.2")


def test_what_is_remembered_is_bounded():
    attempts = Attempts(1, lambda: 0.0)
    for number in range(10_000):
        attempts.add(f"peer {number}")
    assert not attempts.over("peer 0")
    assert attempts.over("peer 9999")
    assert len(attempts._peers) <= 4096
