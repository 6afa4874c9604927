"""Who is let in, with which credential, from where."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from gateway.console.actors import Role
from gateway.console.routes import Route
from gateway.core.entities import VirtualKey
from gateway.core.snapshot import build
from tests.console.conftest import (
    ADMIN,
    ENTITIES,
    LOOSE_KEY,
    OPERATOR,
    READER,
    SALES_KEY,
    SECOND_ADMIN,
    SUPPORT_KEY,
    console,
    digest,
    tokens,
)

JSON = {"Content-Type": "application/json"}
WHO = "/api/session"


async def test_a_token_has_its_role():
    async with console() as running:
        for token, role in [
            (ADMIN, "admin"),
            (SECOND_ADMIN, "admin"),
            (OPERATOR, "operate"),
            (READER, "read"),
        ]:
            status, body, _ = await running.ask("GET", WHO, token)
            assert (status, body["role"], body["agent"]) == (200, role, None)
        status, body, _ = await running.ask("GET", WHO, SUPPORT_KEY)
        assert (status, body["role"], body["agent"]) == (200, "read", "support")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {ADMIN}x"},
        {"Authorization": f"Basic {ADMIN}"},
        {"Authorization": f"Bearer {digest(READER).hex()}"},
        {"Authorization": "Bearer é"},
        {"x-api-key": READER},
        {"x-goog-api-key": READER},
        {"Cookie": f"gateway-session={READER}"},
        {"Cookie": f"__Host-gateway-session={READER}"},
    ],
)
async def test_who_is_not_known_gets_in_nowhere(headers):
    async with console() as running:
        status, body, _ = await running.ask("GET", WHO, headers=headers)
        assert (status, body["error"]["code"]) == (401, "unauthorized")


async def test_a_key_in_the_query_is_no_credential():
    async with console() as running:
        assert (await running.ask("GET", f"{WHO}?key={READER}"))[0] == 401
        assert (await running.ask("GET", f"{WHO}?key={READER}", READER))[0] == 400


async def test_unknown_and_wrong_tokens_get_the_same_answer():
    expired = VirtualKey(id="x", name="x", agent="a1", hash=digest("gw_old").hex(), expires=datetime.now(UTC))
    revoked = VirtualKey(id="y", name="y", agent="a1", hash=digest("gw_gone").hex(), revoked=True)
    entities = {**ENTITIES, "virtual_keys": [expired, revoked]}
    async with console(entities=entities) as running:
        answers = [
            await running.ask("GET", WHO, token)
            for token in ("gw_old", "gw_gone", "gw_never", "the operator's own admin tokem")
        ]
        assert {status for status, _, _ in answers} == {401}
        assert len({body["error"]["message"] for _, body, _ in answers}) == 1


async def test_tokens_with_a_long_common_beginning_are_told_apart():
    long = "gw_" + "a" * 200
    entities = {"console_tokens": tokens(read=long + "1")}
    async with console(entities=entities) as running:
        assert (await running.ask("GET", WHO, long + "1"))[0] == 200
        assert (await running.ask("GET", WHO, long + "2"))[0] == 401
        assert (await running.ask("GET", WHO, long))[0] == 401


async def test_two_credentials_are_one_too_many():
    async with console() as running:
        twice = [("Authorization", f"Bearer {READER}"), ("Authorization", f"Bearer {ADMIN}")]
        async with running.session.get(running.url + WHO, headers=twice) as response:
            assert response.status == 401
        cookie = await log_in(running, READER)
        assert (await running.ask("GET", WHO, ADMIN, {"Cookie": cookie}))[0] == 400
        assert (await running.ask("GET", WHO, READER, {"Cookie": cookie}))[0] == 200


async def test_a_role_may_do_what_is_below_it_and_nothing_above():
    async def handle(call):
        return {"did": call.actor.name}

    routes = [
        Route(method="GET", path=f"/x/{role.word}", role=role, handle=handle, answer=dict, summary="x")
        for role in Role
    ]
    allowed = {READER: 1, OPERATOR: 2, SECOND_ADMIN: 3, ADMIN: 3, SUPPORT_KEY: 0, SALES_KEY: 0}
    async with console(routes) as running:
        for token, highest in allowed.items():
            for role in Role:
                status, _, _ = await running.ask("GET", f"/x/{role.word}", token)
                assert status == (200 if role <= highest else 403), (token, role)


async def test_a_key_without_an_agent_sees_nothing():
    async with console() as running:
        assert (await running.ask("GET", WHO, LOOSE_KEY))[0] == 403


async def log_in(running, token: str) -> str:
    status, _, response = await running.ask("POST", WHO, token, JSON, data=b"{}")
    assert status == 201
    return response.headers["Set-Cookie"].partition(";")[0]


async def test_a_session_stands_for_its_token():
    async with console() as running:
        cookie = await log_in(running, OPERATOR)
        assert OPERATOR not in cookie
        status, body, _ = await running.ask("GET", WHO, headers={"Cookie": cookie})
        assert (status, body["role"]) == (200, "operate")
        # What its token loses, it loses.
        running.snapshots.current = build({"console_tokens": tokens(read=OPERATOR, admin=SECOND_ADMIN)})
        assert (await running.ask("GET", WHO, headers={"Cookie": cookie}))[1]["role"] == "read"
        running.snapshots.current = build({"console_tokens": tokens(admin=SECOND_ADMIN)})
        assert (await running.ask("GET", WHO, headers={"Cookie": cookie}))[0] == 401


async def test_a_session_ends_when_it_is_ended_and_after_twelve_hours():
    async with console() as running:
        cookie = {"Cookie": await log_in(running, READER)}
        assert (await running.ask("DELETE", WHO, headers=cookie))[0] == 403  # a page of ours says so
        status, _, response = await running.ask("DELETE", WHO, headers={**cookie, "X-Gateway-Console": "1"})
        assert status == 200
        assert "Max-Age=0" in response.headers["Set-Cookie"]
        assert (await running.ask("GET", WHO, headers=cookie))[0] == 401

        cookie = {"Cookie": await log_in(running, READER)}
        running.clock.now += 12 * 3600 - 1
        assert (await running.ask("GET", WHO, headers=cookie))[0] == 200
        running.clock.now += 2
        assert (await running.ask("GET", WHO, headers=cookie))[0] == 401


async def test_the_cookie_is_for_this_site_and_for_no_script():
    async with console(hosts=("gate.example",)) as running:
        for host, expected in [
            ("", "gateway-session="),
            ("gate.example", "__Host-gateway-session="),
        ]:
            headers = JSON | ({"Host": host} if host else {})
            _, _, response = await running.ask("POST", WHO, READER, headers, data=b"{}")
            cookie = response.headers["Set-Cookie"]
            assert cookie.startswith(expected)
            assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"} <= set(cookie.split("; "))
            assert ("Secure" in cookie.split("; ")) is bool(host)


async def test_elsewhere_the_cookie_of_a_neighbour_is_none():
    async with console(hosts=("gate.example",)) as running:
        plain = await log_in(running, READER)
        away = {"Cookie": plain, "Host": "gate.example"}
        assert (await running.ask("GET", WHO, headers={"Cookie": plain}))[0] == 200
        assert (await running.ask("GET", WHO, headers=away))[0] == 401


async def test_ten_wrong_tokens_in_a_minute_are_enough():
    async with console() as running:
        for _ in range(10):
            assert (await running.ask("GET", WHO, "guess"))[0] == 401
        status, body, response = await running.ask("GET", WHO, "guess")
        assert (status, body["error"]["code"]) == (429, "too_many_attempts")
        assert 0 < int(response.headers["Retry-After"]) <= 60
        # The token that somebody chose can't be found out now; those that can't be guessed go on.
        assert (await running.ask("GET", WHO, ADMIN))[0] == 429
        assert (await running.ask("GET", WHO, READER))[0] == 200
        running.clock.now += 61
        assert (await running.ask("GET", WHO, ADMIN))[0] == 200


async def test_who_says_nothing_guesses_nothing():
    async with console() as running:
        assert {(await running.ask("GET", WHO))[0] for _ in range(20)} == {401}
        assert (await running.ask("GET", WHO, ADMIN))[0] == 200


async def test_without_a_token_this_machine_may_operate_but_open_no_doors():
    async with console(admin_token="", entities={}) as running:
        status, body, _ = await running.ask("GET", WHO)
        assert (status, body["role"]) == (200, "operate")
        # Who presents a token has what that has.
        assert (await running.ask("GET", WHO, "anything"))[0] == 401
        assert (await running.ask("POST", WHO, headers=JSON, data=b"{}"))[0] == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"X-Real-IP": "::1"},
        {"CF-Connecting-IP": "127.0.0.1"},
        {"Host": "gate.example"},
    ],
)
async def test_without_a_token_a_proxy_in_the_way_is_not_this_machine(headers):
    async with console(admin_token="", entities={}, hosts=("gate.example",)) as running:
        status, body, _ = await running.ask("GET", WHO, headers=headers)
        assert status == 401
        assert "GATEWAY_ADMIN_TOKEN" in body["error"]["message"]


@pytest.mark.parametrize("role", ["admin", "read"])
async def test_a_token_that_opens_everything_closes_the_open_door(role):
    expired = [
        msgspec.structs.replace(token, expires=datetime.now(UTC) - timedelta(days=1))
        for token in tokens(**{role: "gw_console_x"})
    ]
    async with console(admin_token="", entities={"console_tokens": expired}) as running:
        # A token for readers does not: nobody could take it away again.
        assert (await running.ask("GET", WHO))[0] == (401 if role == "admin" else 200)
