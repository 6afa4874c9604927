"""What records sees no key; of an answer that can't be searched for one only what it used is left."""

import pytest

from gateway.core.interaction import Credential, Interaction, new_id
from gateway.core.provider import Endpoint, Provider, Row
from gateway.core.view import TextDelta, Usage
from gateway.stages import keys
from gateway.stages.keys import Keys

KEY = "sk-repeated-0123456789"


def answered():
    i = Interaction(new_id(1.0), Provider(Row(name="acme", base_url="http://x")), Endpoint("POST", "/x"), {})
    i.credential, i.response = Credential(secret=KEY), KEY.encode()
    i.completion.apply(TextDelta(KEY))
    i.completion.apply(Usage(output_tokens=5))
    return i


async def test_each_of_a_batch():
    batch = [answered(), answered()]
    await Keys().on_done(batch)
    assert [i.response for i in batch] == [b"[redacted]"] * 2
    assert [i.completion.text for i in batch] == ["[redacted]"] * 2


async def test_one_that_fails_shows_nothing_and_leaves_the_others(monkeypatch: pytest.MonkeyPatch):
    first, second = answered(), answered()

    def broken(i):
        if i is first:
            raise ZeroDivisionError
        forget(i)

    forget = keys.forget_key
    monkeypatch.setattr(keys, "forget_key", broken)
    await Keys().on_done([first, second])
    assert (first.response, first.completion.text) == (b"", "")
    assert first.completion.usage == Usage(output_tokens=5)
    assert second.response == b"[redacted]"
