"""A stream that begins before the upstream has answered: its client would give up during a long wait.

It is committed to status 200 and to the stream's content type, and keep-alives go out. So whatever fails from then on
is told within the stream, also what the upstream refuses: its status and headers have no place any more.
"""

from gateway.core.errors import ErrorKind, GatewayError, UpstreamError, UpstreamProtocol
from gateway.core.frames import Framer
from gateway.core.framing import framer_for
from gateway.core.interaction import Interaction
from gateway.core.relay import Relay
from gateway.origin import Answer
from gateway.settings import Settings
from gateway.upstream import ERROR_BODY


class Refused(UpstreamError):
    """The upstream answered with an error, when a status could not be passed on any more."""

    outcome = "upstream_status"

    def __init__(self, status: int, kind: ErrorKind) -> None:
        super().__init__(f"The upstream refused the request with status {status} ({kind}).")
        self.kind = kind  # type: ignore[misc]  # the one class whose errors differ in it


class Opening:
    """The beginning of one stream."""

    def __init__(self, i: Interaction, settings: Settings) -> None:
        self._i = i
        self._settings = settings
        adapter = i.endpoint.response
        self.content_type = adapter.stream_type(i.query)
        self._framer = self._framer_of(self.content_type)
        self._keep_alive = self._framer.keep_alive(adapter.keep_alive)
        self._relay = Relay(self._framer, adapter(i.request, streamed=True), i.completion)

    def keep_alive(self) -> bytes:
        """Return what may go out before the first frame."""
        return self._keep_alive

    def fail(self, error: GatewayError) -> bytes | None:
        """Return the error in the wire's own form, as all that the stream says."""
        return self._relay.fail(error)

    async def check(self, response: Answer) -> None:
        """Raise for an answer that can't be the rest of this stream."""
        if response.status != 200:
            body = bytearray()
            while len(body) < ERROR_BODY and (chunk := await response.content.readany()):
                body += chunk
            raise Refused(response.status, self._i.provider.error_kind(response.status, bytes(body)))
        framer = self._framer_of(response.headers.get("Content-Type", ""))
        if type(framer) is not type(self._framer):
            raise UpstreamProtocol(
                "The upstream's answer is not the stream that was asked for.", may_have_run=True
            )

    def _framer_of(self, content_type: str) -> Framer:
        kind = self._i.endpoint.response
        return framer_for(
            content_type, self._settings.event_limit, streamed=kind.arrays, newline=kind.newline
        )
