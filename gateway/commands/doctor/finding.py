"""What was found out about one thing."""

from typing import Literal

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One line of the report."""

    state: Literal["ok", "note", "wrong"]
    """``note``: something to know, which may well be meant so."""
    about: str
    said: str
