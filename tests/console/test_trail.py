"""The audit log: every change and every failed attempt at one, in a chain that shows what was done to it."""

import pytest
from sqlalchemy import delete, update

from gateway.console.actors import NOBODY
from gateway.console.refusals import Refusal
from gateway.console.trail import Trail
from gateway.storage.queries import audit
from gateway.storage.tables import audit as rows
from tests.console.conftest import ADMIN


async def entries(running, **query):
    status, body, _ = await running.ask("GET", "/api/audit", ADMIN, params={"limit": 500, **query})
    assert status == 200
    return body["items"]


def told(entry):
    return tuple(entry[name] for name in ("actor", "action", "kind", "result"))


async def test_every_change_is_there(running):
    made = await running.made(ADMIN, "/api/teams", slug="care", name="Care")
    await running.ask("PATCH", f"/api/teams/{made['id']}", ADMIN, json={"name": "Caring"})
    await running.ask("DELETE", f"/api/teams/{made['id']}", ADMIN)
    deleted, updated, created, *_ = await entries(running)
    assert [told(entry) for entry in (created, updated, deleted)] == [
        ("admin_token", action, "teams", "ok") for action in ("create", "update", "delete")
    ]
    assert {entry["entity"] for entry in (created, updated, deleted)} == {made["id"]}
    assert {entry["address"] for entry in (created, updated, deleted)} == {"127.0.0.1"}
    assert (created["before"], created["after"]["name"]) == (None, "Care")
    assert (updated["before"]["name"], updated["after"]["name"]) == ("Care", "Caring")
    assert (deleted["before"]["name"], deleted["after"]) == ("Caring", None)
    assert created["at"].endswith("Z")


async def test_who_did_it_is_there(running):
    token = await running.made(ADMIN, "/api/console-tokens", name="t", role="operate")
    await running.made(token["secret"], "/api/teams", slug="x")
    assert (await entries(running))[0]["actor"] == f"console_token:{token['id']}"


async def test_failed_attempts_are_there(running):
    token = await running.made(ADMIN, "/api/console-tokens", name="t", role="read")
    before = len(await entries(running))
    for sent in ("", "wrong", token["secret"], ADMIN):
        await running.ask("POST", "/api/teams", sent, json={"slug": "a b"})
    await running.ask("DELETE", "/api/teams/nothing", ADMIN)
    await running.ask("PATCH", "/api/agents/declared", ADMIN, json={"name": "x"})
    found = await entries(running)
    assert len(found) - before == 6
    assert [told(entry) for entry in reversed(found[:6])] == [
        ("nobody", "create", "teams", "unauthorized"),
        ("nobody", "create", "teams", "unauthorized"),
        (f"console_token:{token['id']}", "create", "teams", "forbidden"),
        ("admin_token", "create", "teams", "invalid_request"),
        ("admin_token", "delete", "teams", "not_found"),
        ("admin_token", "update", "agents", "conflict"),
    ]
    assert found[1]["entity"] == "nothing"


async def test_looking_leaves_nothing(running):
    before = await entries(running)
    await running.ask("GET", "/api/teams/nothing", ADMIN)
    await running.ask("GET", "/api/teams", "wrong")
    assert await entries(running) == before


async def test_nobody_fills_it(running):
    for _ in range(80):
        await running.ask("DELETE", "/api/teams/x")
    attempts = [entry for entry in await entries(running) if entry["actor"] == "nobody"]
    assert len(attempts) == 60


async def test_a_failed_attempt_is_no_change(running):
    version = running.snapshots.current.version
    await running.ask("DELETE", "/api/teams/x", ADMIN)
    await running.refresh.look()
    assert running.snapshots.current.version == version


async def test_secrets_are_not_in_it(running):
    made = await running.made(ADMIN, "/api/virtual-keys", name="k", agent="support")
    said = str(await entries(running))
    assert made["secret"] not in said
    assert running.keyring.hash(made["secret"]) not in said


async def test_it_comes_in_pages(running):
    everything = await entries(running)
    _, first, _ = await running.ask("GET", "/api/audit?limit=1", ADMIN)
    _, second, _ = await running.ask("GET", f"/api/audit?limit=1&after={first['next']}", ADMIN)
    assert first["items"] + second["items"] == everything[:2]
    assert (await running.ask("GET", "/api/audit?after=x", ADMIN))[0] == 400


CHANGES = {
    "nothing": (None, None),
    "a value": (update(rows).where(rows.c.number == 2).values(actor="somebody else"), 2),
    "a result": (update(rows).where(rows.c.number == 3).values(result="ok "), 3),
    "one taken out": (delete(rows).where(rows.c.number == 2), 3),
    "the first taken out": (delete(rows).where(rows.c.number == 1), 2),
    "the last taken out": (delete(rows).where(rows.c.number == 4), 4),
    "two that changed places": (
        update(rows).where(rows.c.number.in_([2, 3])).values(number=5 - rows.c.number + 100),
        4,
    ),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_what_is_done_to_it_shows(running, change):
    for slug in ("c", "d"):
        await running.made(ADMIN, "/api/teams", slug=slug)
    statement, broken = CHANGES[change]
    async with running.database.write() as connection:
        if statement is not None:
            await connection.execute(statement)
    async with running.database.read() as connection:
        assert await audit.first_broken(connection) == broken


@pytest.mark.parametrize(("status", "written"), [(503, []), (409, ["append"])])
async def test_what_the_database_refused_is_not_offered_to_it_again(status, written):
    tried = []

    class Data:
        def append(self):
            tried.append("append")
            raise Refusal(503, "It is away.")

    class Visit:
        id, peer, actor, target = "v", "127.0.0.1", NOBODY, "x"

        class route:  # noqa: N801  # an attribute of it
            path, method = "/api/teams", "POST"

    await Trail(Data()).refused(Visit(), Refusal(status, "No."))
    assert tried == written
