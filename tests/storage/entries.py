"""Records to store."""

from gateway.core.interaction import new_id
from gateway.core.record import Body, Record, Started


def record(id_="", **fields):
    given = {
        "id": id_ or new_id(1.0),
        "started_at": 1.0,
        "provider": "acme",
        "endpoint": "POST /x",
        "outcome": "ok",
        "request": Body(b"[", (b'"hello"',), b"]"),
    }
    return Record(**given | fields)


def started(id_="", worker="w"):
    return Started(id_ or new_id(1.0), 1.0, worker, "acme", "POST /x")
