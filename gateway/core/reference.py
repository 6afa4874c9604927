"""What a request leaves to the provider's memory: it refers to that, and nobody else sees it."""

from typing import Literal

import msgspec

Kind = Literal["answer", "history", "tools", "context", "deferred"]


class Reference(msgspec.Struct, frozen=True, gc=False):
    """One such thing.

    ``answer``: an earlier answer, with all that came before it. ``history``: any other part of a conversation.
    ``tools``: text, and maybe tools that the provider runs, that somebody stored. ``context``: what the model
    works on, and a client can't send. ``deferred``: nothing yet, but the answer will be fetched elsewhere.
    """

    kind: Kind
    member: str
    """What in the body says it."""
    id: str = ""
