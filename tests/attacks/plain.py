"""A call as it usually comes, on every wire: what the attacks are variations of."""

from collections.abc import Callable, Sequence

from tests.attacks.model import Tool
from tests.attacks.wires import anthropic, chat, gemini, responses
from tests.attacks.wires.payloads import array

STREAMS: dict[str, Callable[[Tool], Sequence[bytes]]] = {
    "chat": chat.stream_frames,
    "responses": responses.frames,
    "anthropic": anthropic.frames,
    "gemini": gemini.frames,
    "gemini_array": lambda tool: array(gemini.around(tool, [gemini.chunk(gemini.call(tool))])),
}
WHOLE: dict[str, Callable[[Tool], bytes]] = {
    "chat": chat.whole_bytes,
    "responses": responses.whole_bytes,
    "anthropic": anthropic.whole_bytes,
    "gemini": gemini.whole_bytes,
}
WAYS = [(name, True) for name in STREAMS] + [(name, False) for name in WHOLE]


def answer(dialect: str, tool: Tool, *, stream: bool) -> list[bytes]:
    return list(STREAMS[dialect](tool)) if stream else [WHOLE[dialect](tool)]
