"""Every route of both ports asks who calls and what they may do, and nobody makes more of themselves.

The routes are taken from the running console's own table, so a new one is in these tests by itself.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.console.actors import Role
from gateway.console.routes import Route
from gateway.core.entities import KINDS
from gateway.providers import load
from tests.clients.scripted import request, scripted
from tests.console.conftest import ADMIN, stored
from tests.console.test_entities import CHANGES, NEW, PATHS
from tests.harness.client import exchange

OPENS_DOORS = ("/api/console-tokens", "/api/providers")


async def token_of(running, role: Role) -> str:
    made = await running.made(ADMIN, "/api/console-tokens", name=role.word, role=role.word)
    return made["secret"]


async def call(running, route: Route, token: str = "", headers=()):
    path = route.path.replace("{id}", "nothing")
    options = {} if route.method in ("GET", "DELETE") else {"json": {}}
    return await running.ask(route.method, path, token, headers, **options)


async def test_every_route_takes_its_role_and_no_less(running):
    tokens = {role: await token_of(running, role) for role in Role}
    routes = running.console.routes.all
    assert len(routes) > 50
    for route in routes:
        assert isinstance(route.role, Role)
        status, body, _ = await call(running, route)
        assert (status, body["error"]["code"]) == (401, "unauthorized"), route
        for role, token in tokens.items():
            status, body, _ = await call(running, route, token)
            assert (status == 403) is (role < route.role), (route.method, route.path, role)
            if status == 403:
                tells = "GATEWAY_ADMIN_TOKEN" in body["error"]["message"]
                assert tells is (route.role is Role.ADMIN), body


async def test_what_changes_is_not_for_readers(running):
    for route in running.console.routes.all:
        if route.write and route.path != "/api/session":
            assert route.role >= Role.OPERATE, route.path
            assert not route.scoped
        if route.write and route.path.startswith(OPENS_DOORS):
            assert route.role is Role.ADMIN, route.path
    assert {route.path for route in running.console.routes.all if route.scoped} == {
        "/api/session",
        "/api/interactions",
        "/api/interactions/export",
        "/api/interactions/{id}",
        "/api/interactions/{id}/request",
        "/api/interactions/{id}/forwarded",
        "/api/interactions/{id}/response",
        "/api/sessions",
        "/api/sessions/{id}",
        "/api/statistics",
        "/api/tools",
        "/api/tools/{id}",
    }


async def test_no_other_site_reaches_any_route(running):
    evil = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    for route in running.console.routes.all:
        assert (await call(running, route, ADMIN, evil))[0] == 403, route.path
        assert (await call(running, route, ADMIN, {"Host": "evil.example"}))[0] == 403, route.path


async def test_no_door_is_opened_without_a_credential(tmp_path):
    async with stored(tmp_path, admin_token="") as running:
        for route in running.console.routes.all:
            status, body, _ = await call(running, route)
            if route.role is Role.ADMIN:
                assert status == 403, route.path
                assert "admin" in body["error"]["message"]
            else:
                assert status not in (401, 403), route.path
        assert running.snapshots.current.secrets == {}


@pytest.mark.parametrize(
    "path", ["/api/nothing", "/api", "/", "/v1/chat/completions", "/metrics/x", "/API/agents"]
)
async def test_what_is_no_route_is_nothing(running, path):
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        assert (await running.ask(method, path, ADMIN))[0] == 404


async def test_the_proxy_serves_nothing_of_the_console(running):
    async with scripted({"GATEWAY_ADMIN_TOKEN": ADMIN, "GATEWAY_AUTH": "required"}) as gate:
        for route in running.console.routes.all:
            for path in (route.path.replace("{id}", "x"), f"/v1{route.path.replace('{id}', 'x')}"):
                sent = request(
                    path,
                    None if route.method == "GET" else b"{}",
                    [f"authorization: Bearer {ADMIN}"],
                    route.method,
                )
                got = await exchange(gate.gateway.port, sent)
                assert got.response.status == 404, path
        # And the other way round: every endpoint of every provider asks who calls, on its own port alone.
        for name, provider in load().items():
            for endpoint in provider.endpoints if provider.native else ():
                if endpoint.method == "HEAD":
                    continue  # answered without the body that it speaks of
                path = f"/v1/{name}{endpoint.path.replace('{', '').replace('}', '').replace('+', '')}"
                sent = request(path, None if endpoint.method == "GET" else b"{}", method=endpoint.method)
                got = await exchange(gate.gateway.port, sent)
                assert got.response.status == 401, (endpoint, path)
                got = await exchange(gate.gateway.console_port, sent)
                assert got.response.status == 404, path
        assert not gate.upstream.requests


RIGHTS = st.sampled_from(["read", "operate", "admin"])
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.lists(st.text(max_size=3), max_size=2)
)
FIELDS = st.sampled_from(
    sorted(
        {field for kind in KINDS.values() for field in kind.__struct_fields__}
        | {"roles", "admin", "__class__"}
    )
)
KIND = st.sampled_from(sorted(NEW))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    mine=st.sampled_from([Role.READ, Role.OPERATE]),
    kind=KIND,
    wanted=RIGHTS,
    extra=st.dictionaries(FIELDS, VALUES, max_size=3),
)
async def test_nobody_makes_more_of_themselves(mine, kind, wanted, extra, tmp_path_factory):
    async with stored(tmp_path_factory.mktemp("rights")) as running:
        token = await token_of(running, mine)
        before = rights(running)
        await running.made(ADMIN, "/api/agents", slug="support")
        base = NEW[kind] | extra | ({"role": wanted} if kind == "console_tokens" else {})
        made = await running.ask("POST", PATHS[kind], token, json=base)
        target = made[1] if made[0] == 201 else await running.made(ADMIN, PATHS[kind], **NEW[kind])
        if kind == "console_tokens":
            before = rights(running)
        changed = await running.ask(
            "PATCH", f"{PATHS[kind]}/{target['id']}", token,
            json=CHANGES[kind] | extra | ({"role": wanted} if kind == "console_tokens" else {}),
        )  # fmt: skip
        for status, body, _ in (made, changed):
            assert status in (200, 201, 400, 403, 409), body
            assert status == 403 or (mine >= Role.OPERATE and kind != "console_tokens")
        # No token is there that was not, none can do more than it could, and I can do what I could.
        assert rights(running) == before
        _, me, _ = await running.ask("GET", "/api/session", token)
        assert me["role"] == mine.word
        assert (await running.ask("GET", "/api/audit", token))[0] == 403


def rights(running) -> dict[str, str]:
    return {token.id: token.role for token in running.snapshots.current.console_tokens.values()}
