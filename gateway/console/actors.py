"""Who asks the console for something, and what they may do."""

from enum import IntEnum

import msgspec


class Role(IntEnum):
    """What a caller may do; each role may do all that the ones before it may."""

    READ = 1
    """Look at what was recorded and at what is set up."""
    OPERATE = 2
    """Set up everything but credentials."""
    ADMIN = 3
    """Set up what opens doors too: console tokens and providers' keys; read the audit log."""

    @property
    def word(self) -> str:
        """The role as files and the API write it."""
        return self.name.lower()


class Actor(msgspec.Struct, frozen=True):
    """Who asks."""

    name: str
    """As the audit log has it: a kind of credential, and the id of one."""
    role: Role
    agent: str | None = None
    """The only agent whose data they may see; ``None``: everybody's."""
    credential: bytes = b""
    """The keyed hash of the token that they presented; empty: none was needed."""


NOBODY = Actor("nobody", Role.READ)
"""Stands in the audit log for who presented nothing that is known."""
