"""The audit log: its list, and the attempts that failed, which no query adds by itself."""

from http import HTTPStatus

import structlog

from gateway.console.actors import NOBODY, Role
from gateway.console.application import Visit
from gateway.console.attempts import Attempts
from gateway.console.data import Data
from gateway.console.refusals import Refusal
from gateway.console.routes import Call, Route
from gateway.console.shapes import Entries, Listed
from gateway.storage.queries import audit

_ACTIONS = {"POST": "create", "PATCH": "update", "DELETE": "delete"}
_MOST = 60
"""Failed attempts of one caller within a minute that are written down: nobody must be able to fill the log."""
_LONGEST = 128

_log = structlog.get_logger()


class Trail:
    """Shows the audit log, and adds to it what failed."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self._attempts = Attempts(_MOST)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(
                method="GET", path="/api/audit", role=Role.ADMIN, handle=self._list, query=Listed, answer=Entries,
                summary="The audit log, newest first.",
            )
        ]  # fmt: skip

    async def _list(self, call: Call) -> object:
        async with self._data.read() as connection:
            items, after = await audit.page(connection, call.query.limit, call.query.after)
        return {"items": items, "next": after}

    async def refused(self, visit: Visit, refusal: Refusal) -> None:
        """Write down an attempt to change something that failed; the answer does not depend on it."""
        who = visit.peer if visit.actor is NOBODY else visit.actor.name
        if visit.route is None or self._attempts.over(who):
            return
        if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
            # What did not take the change would not take this either, and the client has waited long enough.
            _log.warning("a failed attempt is not in the audit log: the database is away", id=visit.id)
            return
        self._attempts.add(who)
        kind = visit.route.path.split("/")[2].replace("-", "_")
        try:
            async with self._data.append() as connection:
                await audit.add(
                    connection, visit.actor.name, _ACTIONS[visit.route.method], kind, visit.target[:_LONGEST],
                    address=visit.peer, result=refusal.code,
                )  # fmt: skip
        except Refusal:
            _log.warning("a failed attempt could not be written to the audit log", id=visit.id)
