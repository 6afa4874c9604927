"""What was read of lists of tools is remembered by all of their bytes, and by how they were read."""

import msgspec
import orjson

from gateway.core.declarations import Declarations
from gateway.core.view import Tool


class Reader:
    def __init__(self):
        self.read = 0

    def __call__(self, raw):
        self.read += 1
        for each in msgspec.json.decode(raw, type=list[dict[str, msgspec.Raw]]):
            yield Tool(msgspec.json.decode(each["name"]), parameters=each["schema"])


def raw(*names, size=600):
    return msgspec.Raw(orjson.dumps([{"name": name, "schema": {"pad": "x" * size}} for name in names]))


def test_the_same_bytes_are_read_once():
    declarations, reader, other = Declarations(), Reader(), Reader()
    first = declarations.read(raw("a", "b"), reader)
    assert [tool.name for tool in first] == ["a", "b"]
    assert declarations.read(raw("a", "b"), reader) is first
    assert reader.read == 1
    assert [tool.name for tool in declarations.read(raw("a", "c"), reader)] == ["a", "c"]
    assert declarations.read(raw("a", "b"), other) == first
    assert (reader.read, other.read) == (2, 1)


def test_what_is_short_takes_no_memory():
    declarations, reader = Declarations(), Reader()
    declarations.read(raw("a", size=1), reader)
    declarations.read(raw("a", size=1), reader)
    assert reader.read == 2
    assert declarations.read(msgspec.Raw(b""), lambda _: ()) == ()
    assert declarations._size == 0


def test_the_memory_is_bounded_and_keeps_what_is_used():
    declarations, reader = Declarations(limit=20_000), Reader()
    for number in range(100):
        declarations.read(raw(f"{number}"), reader)
        declarations.read(raw("0"), reader)
    assert reader.read == 100
    assert 0 < declarations._size <= 20_000
    assert declarations._size == sum(len(data) for _, data in declarations._known)
    declarations.read(raw("huge", size=6000), reader)
    declarations.read(raw("huge", size=6000), reader)
    assert reader.read == 102


def test_a_schema_does_not_keep_the_whole_request():
    body = b'{"messages":"' + b"x" * 100_000 + b'","tools":' + bytes(raw("a")) + b"}"
    tools = msgspec.json.decode(body, type=dict[str, msgspec.Raw])["tools"]
    [tool] = Declarations().read(tools, Reader())
    assert len(memoryview(tool.parameters).obj) < 1000
