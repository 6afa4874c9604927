"""What is remembered of histories: the links of their common beginning, and no others."""

from gateway.storage.chains import Chains


def history(count, *rest):
    return tuple(b"message %d" % number for number in range(count)) + rest


def linked(messages):
    return [b"link of " + message for message in messages]


def kept(*histories, limit=8 << 20, since=100):
    chains = Chains(limit)
    for messages in histories:
        chains.keep(messages, linked(messages), since)
    return chains


def test_the_beginning_that_two_have_in_common_is_known():
    chains = kept(history(20))
    assert chains.links(history(20), 0) == (linked(history(20)), 100)
    assert chains.links(history(25), 0) == (linked(history(20)), 100)
    assert chains.links(history(20, b"new"), 0)[0] == linked(history(20))
    assert chains.links(history(19, b"changed", b"new"), 0)[0] == linked(history(19))
    assert 12 <= len(chains.links(history(17, b"changed"), 0)[0]) <= 17
    assert chains.links((b"other", *history(20)[1:]), 0) == ([], 0)
    assert chains.links((), 0) == ([], 0)


def test_a_history_replaces_what_it_goes_on_from_and_no_other():
    chains = kept(history(20), history(22), history(20, b"a branch"))
    assert [len(chain.messages) for chain in chains._chains[b"message 0"]] == [22, 21]
    assert len(chains.links(history(22, b"x"), 0)[0]) == 22
    assert len(chains.links(history(20, b"a branch", b"y"), 0)[0]) == 21


def test_what_was_last_used_long_ago_has_to_be_said_again():
    chains = kept(history(20), since=100)
    assert chains.links(history(20), 100) == ([], 0)
    assert chains.links(history(20), 99)[1] == 100


def test_it_is_bounded_and_can_forget():
    chains = Chains(limit=40_000)
    for number in range(500):
        messages = (b"%d" % number, *history(20, b"x" * 200))
        chains.keep(messages, linked(messages), 1)
    sizes = sum(chain.size for alike in chains._chains.values() for chain in alike)
    assert 0 < chains._size == sizes <= 40_000
    for number in range(20):
        chains.keep(history(10, b"%d" % number), linked(history(11)), 1)
    assert len(chains._chains[b"message 0"]) <= 4
    chains.keep(history(5), linked(history(5)), 1)
    chains.keep(history(10, b"x" * 30_000), linked(history(11)), 1)
    assert chains.links(history(10, b"x" * 30_000), 0)[0] != linked(history(10, b"x" * 30_000))
    chains.clear()
    assert chains.links(history(10), 0) == ([], 0)
    assert chains._size == 0
