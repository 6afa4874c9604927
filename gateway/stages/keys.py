"""Keys are in nothing that is recorded, whatever an answer says."""

from collections.abc import Sequence

import msgspec
import structlog

from gateway.core.interaction import Interaction
from gateway.core.keys import forget_key
from gateway.core.redaction import REDACTED
from gateway.core.stage import Stage
from gateway.core.view import Completion

_log = structlog.get_logger()


class Keys(Stage):
    """Takes the key of each request out of its answer, before any other stage records it."""

    async def on_done(self, batch: Sequence[Interaction]) -> None:
        """Do it for each; of an answer that can't be cleaned nothing is recorded but what it used."""
        for i in batch:
            try:
                forget_key(i)
            except Exception:  # noqa: BLE001  # what can't be read of one must not cost the others their records
                _log.exception("an answer could not be searched for its key", id=i.id)
                usage = i.completion.usage
                i.drop_bodies()
                i.completion, i.unknown, i.blocked_tools = Completion(), {}, ()
                i.completion.usage = usage
                i.decisions = [
                    msgspec.structs.replace(decision, tool=REDACTED, call_id="") for decision in i.decisions
                ]
