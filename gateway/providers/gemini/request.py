"""Gemini requests: the model and the streaming are in the URL, a tool result is an object in a part."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from urllib.parse import quote

import msgspec

from gateway.core.adapter import DEFAULT_QUIRKS, Quirks, RequestAdapter
from gateway.core.declarations import DECLARATIONS
from gateway.core.errors import BadRequest
from gateway.core.histories import Log
from gateway.core.media import without_media
from gateway.core.reference import Reference
from gateway.core.view import Message, Path, Prompt, Text, Tool, ToolResult
from gateway.providers.gemini.history import parts_of, read_message
from gateway.providers.gemini.members import Raw, camel, fields, is_string, items, snake, spelt, string
from gateway.providers.gemini.results import UNREAD, read_hosted, read_result

_body = msgspec.json.Decoder(dict[str, Raw])

_MODELS = "models/"
_TUNED = "tunedModels/"
_PLAIN = {_TUNED: _MODELS, "dynamic/": _MODELS, "endpoints/": "publishers/google/" + _MODELS}
"""Where plain models live beside collections of special ones."""

_DECLARATIONS = ("functionDeclarations", "function_declarations")
_CALLS = ("functionCall", "function_call")
_RESPONSES = ("functionResponse", "function_response")
_OUTPUTS = ("codeExecutionResult", "code_execution_result")
_HOSTED = ("toolResponse", "tool_response")


class GenerateContentRequest(RequestAdapter):
    """A request to ``:generateContent``."""

    history: Path = ("contents",)
    result_words = (
        b"unctionResponse",
        b"unction_response",
        b"oolResponse",
        b"ool_response",
        b"odeExecutionResult",
        b"ode_execution_result",
    )

    def __init__(
        self, body: bytes, params: Mapping[str, str] | None = None, quirks: Quirks = DEFAULT_QUIRKS
    ) -> None:
        super().__init__(body, params, quirks)
        self._members = self.load(_body)
        self._model = ""
        self._collection = self.params.get("collection", "")
        self.model = self.params.get("model", "")
        if self._collection == "tunedModels":
            self.model = _TUNED + self.model

    @cached_property
    def _root(self) -> tuple[str, ...]:
        """Where the request proper lives."""
        return ()

    @cached_property
    def hidden(self) -> Sequence[Reference]:
        return tuple(
            Reference("tools", str(path[-1]), string(raw))
            for path, raw in self._at("cachedContent")
            if bytes(raw) not in (b"null", b'""')
        )

    @cached_property
    def tools(self) -> Sequence[Tool]:
        return tuple(tool for _, raw in self._at("tools") for tool in DECLARATIONS.read(raw, _all_declared))

    @property
    def declarations(self) -> Sequence[bytes | msgspec.Raw]:
        return [raw for _, raw in self._at("tools")]

    @cached_property
    def tool_results(self) -> Sequence[ToolResult]:
        if self.has_history:
            return super().tool_results
        log = Log()
        for path, content in self._contents():  # a lone one, or what is no part of a conversation
            _read_content(path, content, log)
        return tuple(log.results)

    def may_hold_results(self) -> bool:
        return super().may_hold_results() or not self.has_history

    def history_array(self) -> bytes:
        return next((bytes(raw) for _, raw in self._at("contents") if bytes(raw).startswith(b"[")), b"")

    def read_element(self, place: int, element: bytes, log: Log) -> None:
        _read_content((*self.history, place), Raw(element), log)

    def preamble(self) -> Iterable[Message]:
        for _, raw in self._at("systemInstruction"):
            yield Message("system", read_message(raw).parts)
        if not self.pieces[1]:  # a lone content, or one that is no part of a conversation
            yield from (read_message(content) for _, content in self._contents())

    @classmethod
    def parse_message(cls, element: bytes) -> Message:
        return read_message(element)

    def texts(self) -> Iterable[str]:
        for _, raw in self._at("systemInstruction"):
            for _, part in parts_of(raw, ()):
                yield from _part_texts(part)
        for _, part in self._parts():
            yield from _part_texts(part)
        for tool in self.tools:
            yield f"{tool.name} {tool.description} {bytes(tool.parameters).decode()}"

    def set_model(self, name: str) -> None:
        self._model = name
        for path, raw in self._at("model"):
            self.set(path, name if "/" in name or not string(raw).startswith("models/") else f"models/{name}")

    def path(self, path: str) -> str:
        if not self._model:
            return path
        resource, _, method = path.rpartition(":")
        name = self._model.removeprefix(_MODELS)
        if self._collection:
            before = resource[: resource.rindex("/") + 1]
        else:
            before = resource[: resource.index("/" + _MODELS) + 1] + _MODELS
        for special, plain in _PLAIN.items():
            if before.endswith("/" + special):
                before = before.removesuffix(special) + plain
        if name.startswith(_TUNED):
            before = before.removesuffix(_MODELS)
        return f"{before}{quote(name, safe='/:@!$&,;=+~')}:{method}"

    @property
    def edited(self) -> bool:
        return bool(self._edits or self._model)

    def set_tool_result(self, result: ToolResult, text: str) -> None:
        if result.path[-1] in _OUTPUTS:
            self.set((*result.path, "output"), text)
            return
        self.set((*result.path, "response"), {"result": text})
        if result.path in self._with_media:
            self.remove((*result.path, "parts"))  # images and files are the tool's words too

    @cached_property
    def _with_media(self) -> frozenset[Path]:
        """Where results stand that hold more than their response."""
        return frozenset(
            (*path, key)
            for path, part in self._parts()
            for key, value in fields(part).items()
            if key in _RESPONSES and "parts" in fields(value)
        )

    def set_text(self, block: Text, text: str) -> None:
        # The response itself must stay an object.
        whole = block.path[-1] == "response" and block.path[-2] in _RESPONSES
        self.set(block.path, {"result": text} if whole else text)

    def require_unique_members(self) -> None:
        super().require_unique_members()
        for key in self._members:
            if key != snake(key) and snake(key) in self._members:
                raise BadRequest(f"The request body has {key!r} and {snake(key)!r} at $; send one of them.")

    @classmethod
    def compose(cls, model: str, prompt: Prompt) -> bytes:  # noqa: ARG003  # the model is in the URL
        body: dict[str, object] = {
            "contents": [
                {"role": "model" if role == "assistant" else "user", "parts": [{"text": text}]}
                for role, text in prompt.turns
            ]
        }
        if prompt.system:
            body["systemInstruction"] = {"parts": [{"text": prompt.system}]}
        if bytes(prompt.schema):
            body["generationConfig"] = {
                "responseMimeType": "application/json",
                "responseJsonSchema": prompt.schema,
            }
        return msgspec.json.encode(body)

    def _at(self, *names: str) -> Iterator[tuple[Path, Raw]]:
        """Yield members of the request proper."""
        root = self._root
        for key, raw in spelt(fields(self._members[root[0]]) if root else self._members, *names):
            yield (*root, key), raw

    def _contents(self) -> Iterator[tuple[Path, Raw]]:
        for path, raw in self._at("contents"):
            for index, content in items(raw):
                yield (*path, *index), content

    def _parts(self) -> Iterator[tuple[Path, Raw]]:
        for path, content in self._contents():
            yield from parts_of(content, path)


class StreamGenerateContentRequest(GenerateContentRequest):
    """A request to ``:streamGenerateContent``: events with ``alt=sse``, else a JSON array."""

    stream = True


class CountTokensRequest(GenerateContentRequest):
    """A request to ``:countTokens``, whose subject may be a whole request of its own."""

    history: Path = ()  # only the body says which; until then nothing can be known of it

    def __init__(
        self, body: bytes, params: Mapping[str, str] | None = None, quirks: Quirks = DEFAULT_QUIRKS
    ) -> None:
        super().__init__(body, params, quirks)
        self.history = (*self._root, "contents")

    @cached_property
    def _root(self) -> tuple[str, ...]:
        return next(((key,) for key, _ in spelt(self._members, "generateContentRequest")), ())


class EmbedContentRequest(GenerateContentRequest):
    """A request to ``:embedContent``."""

    history = ()

    def _contents(self) -> Iterator[tuple[Path, Raw]]:
        yield from self._at("content")


class BatchEmbedContentsRequest(GenerateContentRequest):
    """A request to ``:batchEmbedContents``: many of ``:embedContent``, which must all name the URL's model."""

    history = ()

    def _contents(self) -> Iterator[tuple[Path, Raw]]:
        for path, request in self._requests():
            for key, content in spelt(fields(request), "content"):
                yield (*path, key), content

    def set_model(self, name: str) -> None:
        super().set_model(name)
        for path, request in self._requests():
            if "model" in fields(request):
                self.set((*path, "model"), name if "/" in name else f"models/{name}")

    def _requests(self) -> Iterator[tuple[Path, Raw]]:
        for path, raw in self._at("requests"):
            for index, request in items(raw):
                yield (*path, *index), request


def _read_content(path: Path, content: Raw, log: Log) -> None:
    """Note the calls and the results of one content."""
    for place, part in parts_of(content, path):
        for key, value in fields(part).items():
            if key in _OUTPUTS or key in _HOSTED:
                log.results.extend(read_hosted((*place, key), value))
                continue
            if key not in _CALLS and key not in _RESPONSES:
                continue
            members = fields(value)
            name = string(members.get("name"))
            call_id = string(members.get("id"))
            if key in _CALLS:
                log.call("", name)
                if call_id:
                    log.call(call_id, name)
            elif bytes(value).startswith(b"{"):
                # The API refuses anything else, and nothing could replace it. Most clients send no ids: then the
                # name must have been called before.
                known = log.names.get(call_id) if call_id else None
                name = known or (name if log.was_called(name) else "")
                log.results.append(read_result(call_id, name, (*place, key), members))


def _all_declared(tools: Raw) -> Iterator[Tool]:
    for _, tool in items(tools):
        for key, value in fields(tool).items():
            if key in _DECLARATIONS:
                yield from (_declared(declaration) for _, declaration in items(value))
            elif camel(key) == "mcpServers":
                yield from (_server(server) for _, server in items(value))
            elif bytes(value) != b"null":
                yield Tool(camel(key), parameters=value, server_executed=True)


def _declared(declaration: Raw) -> Tool:
    members = fields(declaration)
    schemas = (raw for _, raw in spelt(members, "parametersJsonSchema", "parameters"))
    return Tool(
        string(members.get("name")),
        string(members.get("description")),
        next((raw for raw in schemas if bytes(raw) != b"null"), Raw(b"")),
    )


def _server(server: Raw) -> Tool:
    return Tool(string(fields(server).get("name")) or "mcpServers", parameters=server, server_executed=True)


def _part_texts(part: Raw) -> Iterator[str]:
    if is_string(part):
        yield string(part)
    for key, value in fields(part).items():
        if key in UNREAD:
            continue
        if is_string(value):
            yield string(value)
        elif bytes(value).startswith(b"{"):
            yield without_media(value, UNREAD)
