"""What a grammar of a wire format is."""

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.fuzz.framing import Event
from tests.fuzz.source import Source
from tests.fuzz.words import Called

Pair = tuple[Called, Called]


class Wire(NamedTuple):
    """One wire format."""

    name: str
    stream: Callable[[Source, list[Called], bool, Pair | None], list[Event]]
    """Build the events of a stream.

    The third argument: in one of the many legal or odd ways, else as the vendor does. The last one: a call that is
    allowed, and one that is refused and hides behind it.
    """
    whole: Callable[[Source, list[Called], bool], Any]
    """Build a whole answer."""
    extras: Callable[[Called], list[tuple[str, Any]]]
    """Members that may be added anywhere, such as one more call."""
    events: Callable[[Source, Called], list[Event]]
    """Events that may be added anywhere."""
    words: dict[str, tuple[Any, ...]]
    """Values that a member may have instead of its own."""
    newline: str = "\n"
