"""From where a request may come: hosts, pages of other sites, forms."""

import pytest

from gateway.console.actors import Role
from gateway.console.routes import Route
from tests.console.conftest import OPERATOR, READER, console

WHO = "/api/session"
JSON = {"Content-Type": "application/json"}


async def did(call):
    return {"did": True}


WRITE = [
    Route(method=method, path="/api/x", role=Role.OPERATE, handle=did, answer=dict, summary="x")
    for method in ("POST", "DELETE")
]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:9001", 200),
        ("LOCALHOST", 200),
        ("[::1]:9001", 200),
        ("gate.example", 200),
        ("gate.example:8443", 200),
        ("gate.example.", 200),
        ("port.example:8443", 200),
        ("port.example", 403),
        ("evil.example", 403),
        ("evil.example:9001", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("10.0.0.1", 403),
        ("a@localhost", 400),
        ("localhost/x", 400),
        ("", 400),
        ("localhost:99999", 400),
    ],
)
async def test_the_host_is_one_of_ours(host, status):
    async with console(hosts=("gate.example", "port.example:8443")) as running:
        got, _, _ = await running.ask("GET", WHO, READER, {"Host": host})
        assert got == status


async def test_a_rebound_name_gets_nothing_even_with_its_own_origin():
    async with console(admin_token="", entities={}) as running:
        evil = {"Host": "evil.example:9001", "Origin": "http://evil.example:9001", **JSON}
        assert (await running.ask("GET", WHO, headers=evil))[0] == 403
        assert (await running.ask("POST", WHO, headers=evil, data=b"{}"))[0] == 403


async def test_the_address_at_which_it_arrived_is_a_host_of_ours():
    async with console(bind="0.0.0.0") as running:
        port = running.url.rpartition(":")[2]
        running.url = f"http://127.0.0.2:{port}"
        assert (await running.ask("GET", WHO, READER))[0] == 200
        assert (await running.ask("GET", WHO, READER, {"Host": "127.0.0.3"}))[0] == 403


async def test_health_is_for_any_host():
    async with console() as running:
        status, _, response = await running.ask("GET", "/healthz", headers={"Host": "evil.example"})
        assert status == 200
        assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "sideways"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
    ],
)
@pytest.mark.parametrize("open_", [True, False])
async def test_pages_of_other_sites_get_nothing(headers, open_):
    options = {"admin_token": "", "entities": {}} if open_ else {}
    async with console(WRITE, **options) as running:
        token = "" if open_ else OPERATOR
        assert (await running.ask("GET", WHO, token, headers))[0] == 403
        assert (await running.ask("POST", "/api/x", token, headers | JSON, data=b"{}"))[0] == 403
        assert (await running.ask("DELETE", "/api/x", token, headers))[0] == 403


async def test_our_own_page_may_change_things():
    async with console(WRITE, admin_token="", entities={}) as running:
        ours = {"Origin": running.url, "Sec-Fetch-Site": "same-origin"}
        assert (await running.ask("POST", "/api/x", headers=ours | JSON, data=b"{}"))[0] == 200
        assert (await running.ask("DELETE", "/api/x", headers=ours))[0] == 200


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "text/plain; application/json",
        "application/jsonp",
    ],
)
async def test_a_form_changes_nothing(kind):
    async with console(WRITE, admin_token="", entities={}) as running:
        headers = {"Content-Type": kind} if kind else {}
        status, _, _ = await running.ask(
            "POST", "/api/x", headers=headers, data=b"{}", skip_auto_headers=["Content-Type"]
        )
        assert status == 415


async def test_a_cookie_alone_changes_nothing():
    async with console(WRITE) as running:
        _, _, response = await running.ask("POST", WHO, OPERATOR, JSON, data=b"{}")
        cookie = {"Cookie": response.headers["Set-Cookie"].partition(";")[0]}
        assert (await running.ask("POST", "/api/x", headers=cookie | JSON, data=b"{}"))[0] == 403
        page = cookie | JSON | {"X-Gateway-Console": "1"}
        assert (await running.ask("POST", "/api/x", headers=page, data=b"{}"))[0] == 200
