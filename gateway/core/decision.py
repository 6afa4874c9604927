"""What a policy decided of one call, one result or one declared tool: kept in the record, shown, and counted."""

from typing import Literal

import msgspec

Mode = Literal["enforce", "shadow"]


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One decision."""

    kind: Literal["call", "result", "tool"]
    """``tool``: a declared tool that the provider would run itself."""
    policy: str
    """The policy's id; ``default``: no policy is for this tool, ``default_policies`` decides."""
    tool: str
    """The tool's name, as the wire says it."""
    action: str
    """What the policy says."""
    mode: Mode = "enforce"
    blocked: bool = False
    """The call was refused, the result withheld, or they would have been (``shadow``)."""
    reason: str = ""
    call_id: str = ""
    arguments_hash: str = ""
    """Of a call: SHA-256 of its canonical arguments, hexadecimal; of what can't be read, of its bytes."""

    def without(self, old: str, new: str) -> "Decision":
        """Return it with something else in place of what a model wrote."""
        return msgspec.structs.replace(
            self, tool=self.tool.replace(old, new), call_id=self.call_id.replace(old, new)
        )
