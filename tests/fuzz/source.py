"""Choices of Hypothesis, in short words."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

_T = TypeVar("_T")


@functools.cache
def _below(count: int) -> st.SearchStrategy[int]:
    return st.integers(0, count - 1)


class Source:
    """Draws; the first of all choices is the simplest one."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw

    def below(self, count: int) -> int:
        return int(self._draw(_below(count))) if count > 1 else 0

    def pick(self, values: Sequence[_T]) -> _T:
        return values[self.below(len(values))]

    def chance(self, percent: int) -> bool:
        return self.below(100) >= 100 - percent

    def split(self, text: str, most: int = 3) -> list[str]:
        """Cut a text into pieces."""
        pieces = []
        while text and len(pieces) < most - 1:
            size = 1 + self.below(len(text))
            pieces.append(text[:size])
            text = text[size:]
        return [*pieces, text] if text or not pieces else pieces
