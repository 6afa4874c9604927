"""Embeddings: requests with texts, answers whose vectors pass unread."""

from collections.abc import Iterable, Mapping

import msgspec

from gateway.core.adapter import DEFAULT_QUIRKS, Payload, Quirks, RequestAdapter, ResponseAdapter
from gateway.core.errors import GatewayError
from gateway.core.frames import Frame
from gateway.core.strict import load
from gateway.core.view import END, NULL_USAGE, Event, Message, Start
from gateway.providers.openai.chat_parts import read_usage, string
from gateway.providers.openai.chat_request import prompt, strings
from gateway.providers.openai.errors import error_object, stream_error
from schemas.openai import Embeddings, EmbeddingsBody, Usage

_body = msgspec.json.Decoder(EmbeddingsBody)
_decode = msgspec.json.Decoder(Embeddings).decode
_encode = msgspec.json.encode


class EmbeddingsRequest(RequestAdapter):
    """A request for embeddings."""

    def __init__(
        self, body: bytes, params: Mapping[str, str] | None = None, quirks: Quirks = DEFAULT_QUIRKS
    ) -> None:
        super().__init__(body, params, quirks)
        self._body = load(_body, body)
        self.model = string(self._body.model)
        if user := string(self._body.user):
            self.session = (user, "user")

    def preamble(self) -> Iterable[Message]:
        return prompt(self._body.input)

    def texts(self) -> Iterable[str]:
        return strings(self._body.input)


class EmbeddingsResponse(ResponseAdapter):
    """Embeddings: a model and its usage."""

    def events(self, frame: Frame) -> Iterable[Event]:
        body = _decode(frame.data)
        events: list[Event] = [Start(model=string(body.model))]
        if isinstance(body.usage, Usage):
            events.append(read_usage(body.usage))
        elif body.usage is None:
            events.append(NULL_USAGE)
        if body.error:
            events.append(stream_error(body.error))
        events.append(END)
        return tuple(events)

    def error(self, error: GatewayError) -> Iterable[Payload]:
        return (Payload(_encode({"error": error_object(error)})),)
