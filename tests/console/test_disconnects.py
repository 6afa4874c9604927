"""Clients that leave: nothing of them stays behind."""

import asyncio
import random

from gateway.tasks import spawn
from tests.console.conftest import ADMIN
from tests.console.test_interactions import REQUEST, RESPONSE, record


async def test_clients_that_leave_take_no_connection_with_them(running):
    rows = [record(n, request=REQUEST, response=RESPONSE) for n in range(300)]
    await running.rows(*rows)
    paths = (
        "/api/interactions?limit=500",
        "/api/interactions/export",
        f"/api/interactions/{rows[0].id}",
        "/api/statistics",
        "/api/sessions",
    )
    random.seed(7)
    for number in range(100):
        asked = spawn(running.ask("GET", paths[number % len(paths)], ADMIN), name="asked")
        await asyncio.sleep(random.uniform(0, 0.02))
        asked.cancel()
    for number in range(40):
        asked = spawn(running.ask("POST", "/api/teams", ADMIN, json={"slug": f"t{number}"}), name="asked")
        await asyncio.sleep(random.uniform(0, 0.01))
        asked.cancel()
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*(running.ask("GET", path, ADMIN) for path in paths * 4))
    assert {status for status, _, _ in answers} == {200}
    async with asyncio.timeout(5):
        while (before := await made(running)) != await made(running):  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.1)  # the last of them are still being made
    # A change and its row in the audit log are one: neither is there without the other.
    teams, told = before
    assert teams == told


async def made(running) -> tuple[list[str], list[str]]:
    """The teams that there are, and those that the audit log tells of."""
    _, teams, _ = await running.ask("GET", "/api/teams?limit=500", ADMIN)
    _, entries, _ = await running.ask("GET", "/api/audit?limit=500", ADMIN)
    told = [entry["entity"] for entry in entries["items"] if entry["kind"] == "teams"]
    return sorted(team["id"] for team in teams["items"]), sorted(told)
