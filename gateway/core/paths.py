"""Paths that operators write into JSON documents: ``.name``, ``[0]`` and ``[*]``, one after the other.

A name is whatever holds neither a dot nor a bracket; there is no way to write one that does.
"""

import re

from gateway.core.view import Path

EVERY = -1
"""As an index: all that a list holds."""
_STEP = re.compile(r"(\.?)([^.\[\]]+)|\[([0-9]{1,9})\]|\[(\*)\]")


def read_path(text: str, position: int = 0, *, dotted: bool = False) -> tuple[Path, int]:
    """Return the steps that a text writes from a position on, and where they end.

    ``dotted``: a dot stands before a name that comes first too.
    """
    steps: list[str | int] = []
    while found := _STEP.match(text, position):
        dot, name, index, every = found.groups()
        if name is not None and bool(dot) is not (dotted or bool(steps)):
            break  # a dot stands between two, and nowhere else
        steps.append(name if name is not None else EVERY if every else int(index))
        position = found.end()
    return tuple(steps), position
