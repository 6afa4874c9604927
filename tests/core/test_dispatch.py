"""What a call of a dispatcher means."""

import pytest

from gateway.core.arguments import Unjudgeable
from gateway.core.dispatch import ToolDispatcher, meant_calls
from gateway.core.tool_names import ByTool

DISPATCHERS = ByTool(
    [ToolDispatcher(tool="call_*"), ToolDispatcher(tool="run", name="what", arguments="with")]
)


def meant(names, arguments):
    return list(meant_calls(names, arguments, DISPATCHERS))


def test_a_call_is_itself_under_all_its_names():
    assert meant(("a", "b"), "no JSON") == [("a", "no JSON"), ("b", "no JSON")]
    assert list(meant_calls(("call_tool",), "x", ByTool([]))) == [("call_tool", "x")]


def test_and_what_it_means():
    arguments = '{"name":"t","arguments":{"a":1}}'
    assert meant(("x", "call_it"), arguments) == [("x", arguments), ("call_it", arguments), ("t", {"a": 1})]
    text = '{"name":"t","arguments":"{\\"a\\":1}"}'
    assert meant(("call_it",), text)[1:] == [("t", '{"a":1}')]
    assert meant(("call_it",), '{"name":"t"}')[1:] == [("t", "{}")]
    within = '{"what":"call_it","with":{"name":"t","arguments":{"a":1}}}'
    assert [name for name, _ in meant(("run",), within)] == ["run", "call_it", "t"]


@pytest.mark.parametrize(
    "odd",
    ["", "[]", "{}", '{"name":"t","NAME":"u"}', '{"name":""}', '{"name":1}', '{"name":"t","arguments":[]}'],
)
def test_what_it_means_must_be_clear(odd):
    with pytest.raises(Unjudgeable):
        meant(("call_it",), odd)


def test_one_that_can_not_be_is_told_of():
    assert ToolDispatcher(tool="t").problem() is None
    assert ToolDispatcher(tool="").problem()[0] == "tool"
    assert ToolDispatcher(tool="t[").problem()[0] == "tool"
    assert ToolDispatcher(tool="t", name="").problem()[0] == "name"
    assert ToolDispatcher(tool="t", arguments="").problem()[0] == "arguments"
