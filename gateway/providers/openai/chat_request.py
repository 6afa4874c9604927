"""Requests for chat completions, in the format of OpenAI and of all that are like it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from gateway.core.adapter import DEFAULT_QUIRKS, Quirks, RequestAdapter
from gateway.core.declarations import DECLARATIONS
from gateway.core.errors import BadRequest
from gateway.core.histories import Log
from gateway.core.reference import Reference
from gateway.core.strict import UNREADABLE
from gateway.core.view import Message, Part, Path, Prompt, Text, Tool, ToolResult
from gateway.providers.openai.chat_history import read_message
from gateway.providers.openai.chat_parts import string
from gateway.providers.openai.hosted import asked_for, cited, executed_name, hosted_name, mcp_tools, unique
from schemas import openai as wire
from schemas.openai import AllowedChoice, ChatBody, Function, ToolEntry

_body = msgspec.json.Decoder(ChatBody)
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_any = msgspec.json.Decoder().decode
_message = msgspec.json.Decoder(wire.Message).decode
_part = msgspec.json.Decoder(wire.Part).decode
_entry = msgspec.json.Decoder(ToolEntry).decode
_function = msgspec.json.Decoder(Function).decode
_allowed = msgspec.json.Decoder(AllowedChoice).decode

# Types of tools whose calls the client runs; of all others the provider does. Moonshot asks its client to
# echo the arguments of a `builtin_function`, so such a call passes through the client too.
_CLIENT_TOOLS = frozenset({"", "function", "custom", "builtin_function"})


class ChatRequest(RequestAdapter):
    """A request for a chat completion."""

    history = ("messages",)
    result_words = (b'"tool"', b'"function"', b'"executed_tools"', b'"annotations"')

    def __init__(
        self, body: bytes, params: Mapping[str, str] | None = None, quirks: Quirks = DEFAULT_QUIRKS
    ) -> None:
        super().__init__(body, params, quirks)
        self._body = read = self.load(_body)
        if read.stream is not None and not isinstance(read.stream, bool):
            raise BadRequest("The request body is not valid at $.stream: it must be true, false or null.")
        self.stream = bool(read.stream)
        self.model = string(read.model)
        self._forgets = False
        if key := string(read.prompt_cache_key):
            self.session = (key, "prompt_cache_key")
        elif user := string(read.user):
            self.session = (user, "user")

    @property
    def choices(self) -> int:
        """How many alternatives the client asks for."""
        count = self._body.n
        return count if isinstance(count, int) and count > 1 else 1

    @property
    def other_models(self) -> Sequence[str]:
        return tuple(strings(self._body.models))

    @cached_property
    def tools(self) -> Sequence[Tool]:
        return tuple(unique(self._tools()))

    @property
    def hidden(self) -> Sequence[Reference]:
        return (Reference("deferred", "deferred"),) if self._body.deferred else ()

    @property
    def keeps(self) -> bool:
        return bool(self._body.store) and not self._forgets

    def forget(self) -> None:
        self._forgets = True
        self.set(("store",), value=False)
        if given(self._body.metadata):
            self.remove(("metadata",))  # labels of what is kept, and an error where nothing is

    def _tools(self) -> Iterator[Tool]:
        body = self._body
        yield from DECLARATIONS.read(body.tools, _all_declared)
        for function in elements(body.functions, _function):
            yield Tool(string(function.name), string(function.description), function.parameters)
        yield from asked_for(body, (self.model, *self.other_models))
        yield from (tool for tool in _chosen(body.tool_choice) if tool.server_executed)

    @property
    def declarations(self) -> Sequence[bytes | msgspec.Raw]:
        body = self._body
        return (
            self.model.encode(),  # some names of models ask for tools
            body.models,
            body.tools,
            body.functions,
            body.web_search_options,
            body.search_parameters,
            body.plugins,
            body.compound_custom,
            body.tool_choice,
        )

    @cached_property
    def _messages(self) -> list[wire.Message | None]:
        """The history; None for what is no message, so that positions are right."""
        return [lenient(_message, raw) for raw in raw_items(self._body.messages)]

    def history_array(self) -> bytes:
        return array(self._body.messages)

    def read_element(self, place: int, element: bytes, log: Log) -> None:
        message = lenient(_message, msgspec.Raw(element))
        if message is None:
            return
        for entry in elements(message.tool_calls, _entry):
            log.call(string(entry.id), called(entry).name)
        if (call := lenient(_function, message.function_call)) is not None:
            log.call("", string(call.name))
        if message.role == "tool":
            id_ = string(message.tool_call_id)
            name = log.names.get(id_, "") if id_ else ""
        elif message.role == "function":
            id_, name = "", string(message.name)
            name = name if log.was_called(name) else ""
        else:
            log.results.extend(_hosted(message, ("messages", place)))
            return
        path: Path = ("messages", place, "content")
        texts = tuple(_texts(message.content, path))
        partial = len(texts) < len(raw_items(message.content))
        log.results.append(ToolResult(id_, name, False, path, texts, partial=partial))  # noqa: FBT003  # the wire has no sign of an error

    def preamble(self) -> Iterable[Message]:
        return prompt(self._body.prompt)

    @classmethod
    def parse_message(cls, element: bytes) -> Message:
        return read_message(element)

    def texts(self) -> Iterable[str]:
        for message in self._messages:
            if message is None:
                continue
            yield from strings(message.content)
            for entry in elements(message.tool_calls, _entry):
                call = called(entry)
                yield call.name
                yield call.text
        yield from strings(self._body.prompt)
        for declared in (self._body.tools, self._body.functions):
            if given(declared):
                yield bytes(declared).decode()

    def ask_usage(self) -> bool:
        if not self.stream or self.quirks.stream_usage != "ask":
            return False
        options = self._body.stream_options
        if not given(options):
            self.set(("stream_options",), {"include_usage": True})
            return True
        members = lenient(_members, options)
        # What the provider would reject goes on as it is: its own error says more than ours could.
        if members is None or bytes(members.get("include_usage", b"false")) not in (b"false", b"null"):
            return False
        self.set(("stream_options", "include_usage"), value=True)
        return True

    @classmethod
    def compose(cls, model: str, prompt: Prompt) -> bytes:
        messages = [{"role": role, "content": text} for role, text in prompt.turns]
        if prompt.system:
            messages.insert(0, {"role": "system", "content": prompt.system})
        body: dict[str, Any] = {"model": model, "messages": messages}
        if bytes(prompt.schema):
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": prompt.schema},
            }
        return msgspec.json.encode(body)


class Called(msgspec.Struct, frozen=True, gc=False):
    """What a call in the history says."""

    name: str
    text: str


def called(entry: ToolEntry) -> Called:
    """Return the name of a call in the history, and the text that the model wrote for it."""
    for raw in (entry.function, entry.custom):
        if (function := lenient(_function, raw)) is not None:
            text = function.arguments if function.arguments is not None else function.input
            return Called(string(function.name), text if isinstance(text, str) else _compact(text))
    return Called(string(entry.name), "")


def given(raw: msgspec.Raw) -> bool:
    """Whether a member is there and not null."""
    view = memoryview(raw)
    return view.nbytes > 0 and bytes(view[:5]) != b"null"


def lenient(decode: Any, raw: msgspec.Raw) -> Any:
    """Decode a member; None if it is absent, null, or of another type, which the provider will answer."""
    if not given(raw):
        return None
    try:
        return decode(raw)
    except UNREADABLE:
        return None


def array(raw: msgspec.Raw) -> bytes:
    """Return the bytes of a list, none if it is not one."""
    data = bytes(raw)
    return data if data.startswith(b"[") else b""


def raw_items(raw: msgspec.Raw) -> list[msgspec.Raw]:
    """Return the elements of a list, none if it is not one."""
    items: list[msgspec.Raw] = lenient(_items, raw) or []
    return items


def elements(raw: msgspec.Raw, decode: Any) -> Iterator[Any]:
    """Decode the elements of a list, without those that have another type."""
    for item in raw_items(raw):
        if (element := lenient(decode, item)) is not None:
            yield element


def _hosted(message: wire.Message, path: Path) -> Iterator[ToolResult]:
    """List what tools of the provider's own brought into an answer: their results, or what it cites."""
    for number, raw in enumerate(_several(message.executed_tools)):
        place = (*path, "executed_tools", number)
        read = (Text(bytes(raw).decode(errors="replace"), place),)
        yield ToolResult("", executed_name(lenient(_any, raw)), False, place, read, fixed=True)  # noqa: FBT003  # the wire has no sign of an error
    texts = tuple(_texts(message.content, (*path, "content")))
    for name in cited(lenient(_any, raw) for raw in _several(message.annotations)):
        yield ToolResult("", name, False, (*path, "annotations"), texts, fixed=True)  # noqa: FBT003  # as above


def _several(raw: msgspec.Raw) -> list[msgspec.Raw]:
    """Return the elements of a list; anything else that is given is one."""
    return raw_items(raw) if array(raw) or not given(raw) else [raw]


def _all_declared(tools: msgspec.Raw) -> Iterator[Tool]:
    for item in raw_items(tools):
        yield from _declared(item)


def _declared(item: msgspec.Raw) -> Iterator[Tool]:
    entry = lenient(_entry, item)
    if entry is None:
        return
    type_ = string(entry.type)
    if type_ == "mcp":
        yield from mcp_tools(string(entry.server_label), entry.allowed_tools)
        return
    if type_ not in _CLIENT_TOOLS:
        yield Tool(hosted_name(type_), server_executed=True)
        return
    # Some servers also take a function whose members stand in the entry itself.
    for raw in (entry.function, entry.custom, item):
        if (function := lenient(_function, raw)) is not None:
            yield Tool(string(function.name), string(function.description), function.parameters)
            return


def _chosen(choice: msgspec.Raw) -> Iterator[Tool]:
    """List the tools that a choice names."""
    entry = lenient(_entry, choice)
    if entry is None:
        return
    if entry.type != "allowed_tools":
        yield from _declared(choice)
        return
    allowed = lenient(_allowed, choice)
    for item in raw_items(allowed.allowed_tools.tools) if allowed else ():
        yield from _declared(item)


def _texts(content: msgspec.Raw, path: Path) -> Iterator[Text]:
    """Find the blocks of text in a content: text, or a list of parts."""
    first = bytes(memoryview(content)[:1])
    if first == b'"':
        if isinstance(text := lenient(_any, content), str):
            yield Text(text, path)
    elif first == b"[":
        for position, item in enumerate(raw_items(content)):
            if bytes(memoryview(item)[:1]) == b'"' and isinstance(text := lenient(_any, item), str):
                yield Text(text, (*path, position))
            elif (part := lenient(_part, item)) is not None and isinstance(part.text, str):
                yield Text(part.text, (*path, position, "text"))


def strings(raw: msgspec.Raw) -> Iterator[str]:
    """Return a text, or those of a list."""
    return (text.text for text in _texts(raw, ()))


def prompt(raw: msgspec.Raw) -> Iterator[Message]:
    """Return what stands in place of a history, if there is something to be read: a text, or a list of texts."""
    if parts := tuple(Part("text", text) for text in strings(raw)):
        yield Message("user", parts)


def _compact(value: Any) -> str:
    return "" if value is None else msgspec.json.encode(value).decode()
