"""Interactions that have ended, made without a gateway."""

from gateway.core.adapter import RequestAdapter, ResponseAdapter
from gateway.core.interaction import Interaction, new_id
from gateway.core.provider import Endpoint, Provider, Row

MODEL = "gpt-4o"


class Request(RequestAdapter):
    """Its body is the text that the model reads."""

    model = MODEL

    def texts(self):
        yield self.body.decode()


class Response(ResponseAdapter):
    """An answer that costs something."""


class Free(ResponseAdapter):
    """An answer that costs nothing."""

    billed = False


def finished(*events, body=b"hello world", response=Response, outcome="ok", prices="openai", factor=1.0):
    row = Row(name="acme", base_url="http://acme.example", prices=prices, token_factor=factor)
    i = Interaction(new_id(1.0), Provider(row), Endpoint("POST", "/x", Request, response), {})
    i.started_at = 1_780_000_000.0
    i.request = Request(body)
    i.request_bytes = len(body)
    i.requested_model = MODEL
    i.outcome = outcome
    for event in events:
        i.completion.apply(event)
    return i
