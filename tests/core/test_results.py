"""What conditions are asked of, of a tool's result."""

import pytest

from gateway.core.results import content_of
from gateway.core.strict import Ambiguous
from gateway.core.view import Text


def blocks(*texts):
    return tuple(Text(text, ("x", n)) for n, text in enumerate(texts))


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ('{"a":[1]}', {"a": [1]}),
        (' \n[{"a":1}]', [{"a": 1}]),
        ("plain", {"text": "plain"}),
        ("", {"text": ""}),
        ("5", {"text": "5"}),
        ('"quoted"', {"text": '"quoted"'}),
        ('{"a":', {"text": '{"a":'}),
        ('{"a":1} and more', {"text": '{"a":1} and more'}),
        ('{"a":"\ud800"}', {"text": '{"a":"\ud800"}'}),
        ("[" * 100_000, {"text": "[" * 100_000}),
    ],
)
def test_one_block_is_the_document_or_the_text(text, content):
    assert content_of(blocks(text)) == content


def test_several_blocks_are_a_list_and_none_is_an_empty_one():
    assert content_of(blocks('{"a":1}', "b")) == [{"a": 1}, {"text": "b"}]
    assert content_of(()) == []


def test_a_document_with_a_key_twice_is_no_document():
    with pytest.raises(Ambiguous):
        content_of(blocks('{"a":1,"a":2}'))
