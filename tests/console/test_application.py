"""What every answer of the console has, whatever was asked, and how a request goes wrong."""

import asyncio
import re

import msgspec
import pytest
from aiohttp import ClientError
from yarl import URL

from gateway.console.actors import Role
from gateway.console.application import HEADERS
from gateway.console.refusals import Refusal
from gateway.console.routes import Download, Route, Routes
from gateway.tasks import spawn
from tests.console.conftest import OPERATOR, READER, SUPPORT_KEY, console

JSON = {"Content-Type": "application/json"}
TELLING = re.compile(
    rb"Traceback|File \"|gateway/|site-packages|SELECT|sqlite|0x[0-9a-f]{6}|http://", re.IGNORECASE
)


class Body(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    size: int = 0


class Query(msgspec.Struct, forbid_unknown_fields=True):
    limit: int = 5


async def say(call):
    return {"params": call.params, "query": call.query, "body": call.body}


async def fail(call):
    raise RuntimeError("SELECT secret FROM x at http://upstream.example")


async def refuse(call):
    raise Refusal(409, "It is declared.", "name")


async def chunks(*parts):
    for part in parts:
        if isinstance(part, Exception):
            raise part
        yield part


async def download(call):
    return Download("x.bin", "application/octet-stream", chunks(b"<script>", b"alert(1)</script>"))


async def broken_download(call):
    return Download("x.bin", "application/octet-stream", chunks(b"a", RuntimeError("it broke")))


async def refused_download(call):
    return Download("x.bin", "application/octet-stream", chunks(Refusal(404, "It is gone.")))


def route(method, path, handle=say, role=Role.READ, **options):
    options.setdefault("answer", dict)
    return Route(method=method, path=path, role=role, handle=handle, summary="x", **options)


ROUTES = [
    route("GET", "/api/things", query=Query),
    route("POST", "/api/things", role=Role.OPERATE, body=Body, status=201),
    route("GET", "/api/things/{id}"),
    route("DELETE", "/api/things/{id}", role=Role.OPERATE, answer=None, handle=lambda call: asyncio.sleep(0)),
    route("GET", "/api/things/export", handle=download, download="application/octet-stream"),
    route("GET", "/api/texts/{id}", any_value=True),
    route("GET", "/api/broken", handle=broken_download),
    route("GET", "/api/gone", handle=refused_download),
    route("GET", "/api/fail", handle=fail),
    route("POST", "/api/fail", handle=fail, role=Role.OPERATE),
    route("POST", "/api/refuse", handle=refuse, role=Role.OPERATE),
]


@pytest.mark.parametrize(
    ("method", "path", "token", "status"),
    [
        ("GET", "/api/things", READER, 200),
        ("GET", "/api/things/x", READER, 200),
        ("GET", "/api/things/export", READER, 200),
        ("DELETE", "/api/things/x", OPERATOR, 204),
        ("GET", "/healthz", "", 200),
        ("GET", "/readyz", "", 503),
        ("GET", "/api/nothing", READER, 404),
        ("GET", "/", READER, 404),
        ("GET", "/v1/chat/completions", READER, 404),
        ("GET", "/api/things/x/y", READER, 404),
        ("GET", "/api/things/", READER, 404),
        ("GET", "/api/things/%2e%2e", READER, 400),
        ("GET", "/api/things/a%2fb", READER, 400),
        ("GET", "/api/things/a%00b", READER, 400),
        ("GET", "/api/things/%ff", READER, 400),
        ("GET", "/api/things//x", READER, 400),
        ("GET", "/api/texts/..%2f%2e%2e%5c", READER, 200),
        ("GET", "/api/texts/%ff", READER, 400),
        ("GET", "/api/texts/a\\b", READER, 400),
        ("GET", "/api/texts/", READER, 404),
        ("GET", "/api/texts/a/b", READER, 404),
        ("GET", "/api/texts/../a", READER, 400),
        ("GET", "/api/texts/../things/x", READER, 400),
        ("GET", "/api/%74exts/a%2fb", READER, 400),
        ("GET", "/api/things/..;/texts/x", READER, 400),
        ("GET", "/api/things?limit=x", READER, 400),
        ("GET", "/api/things", "", 401),
        ("GET", "/api/things", SUPPORT_KEY, 403),
        ("DELETE", "/api/things/x", READER, 403),
        ("PUT", "/api/things", OPERATOR, 405),
        ("HEAD", "/api/things", READER, 405),
        ("DELETE", "/api/things/export", OPERATOR, 405),
        ("OPTIONS", "/api/things", READER, 400),
        ("TRACE", "/api/things", READER, 400),
        ("GET", "/api/fail", READER, 500),
        ("POST", "/api/fail", OPERATOR, 500),
        ("POST", "/api/refuse", OPERATOR, 409),
        ("GET", "/api/gone", READER, 404),
    ],
)  # fmt: skip
async def test_every_answer_is_protected_and_tells_nothing(method, path, token, status):
    async with console(ROUTES) as running:
        options = {"headers": JSON, "data": b"{}"} if method == "POST" else {}
        url = URL(running.url + path, encoded=True)
        headers = dict(options.pop("headers", {})) | ({"Authorization": f"Bearer {token}"} if token else {})
        async with running.session.request(method, url, headers=headers, **options) as response:
            body = await response.read()
            assert response.status == status, body
            assert {name: response.headers.get(name) for name in HEADERS} == HEADERS
            assert "Access-Control-Allow-Origin" not in response.headers
            if status >= 400 and method != "HEAD" and path != "/readyz":
                assert response.content_type == "application/json"
                error = msgspec.json.decode(body)["error"]
                assert set(error) <= {"code", "message", "path"}
                assert not TELLING.search(body)


@pytest.mark.parametrize(
    "request_", [b"NOT HTTP\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: x\r\n\r\n"]
)
async def test_what_is_not_http_is_answered_alike(request_):
    async with console() as running:
        port = int(running.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request_)
        answer = await reader.read()
        writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b" 400 " in head.partition(b"\r\n")[0]
        for name, value in HEADERS.items():
            assert f"{name}: {value}".encode() in head
        assert not TELLING.search(body)


async def test_the_target_is_a_path():
    async with console(ROUTES) as running:
        port = int(running.url.rpartition(":")[2])
        for target in ("http://evil.example/api/things", "//evil.example/api/things", "*"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {READER}\r\n\r\n".encode()
            )
            status = await reader.readline()
            writer.close()
            assert b" 400 " in status, target


async def test_what_a_handler_gets():
    async with console(ROUTES) as running:
        _, body, _ = await running.ask("GET", "/api/things/a%20b%3F", READER)
        assert body["params"] == {"id": "a b?"}
        _, body, _ = await running.ask("GET", "/api/things?limit=7", READER)
        assert body["query"] == {"limit": 7}
        status, body, _ = await running.ask("POST", "/api/things", OPERATOR, JSON, data=b'{"name":"n"}')
        assert (status, body["body"]) == (201, {"name": "n", "size": 0})


async def test_a_body_is_not_read_for_who_may_not_send_one():
    async with console(ROUTES) as running:
        port = int(running.url.rpartition(":")[2])
        for token, expected in (("", b" 401 "), (READER, b" 403 "), (OPERATOR, b" 413 ")):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b"POST /api/things HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                + (f"Authorization: Bearer {token}\r\n".encode() if token else b"")
                + b"Content-Length: 99999999\r\n\r\n{"
            )
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 1)
            writer.close()
            assert expected in answer.partition(b"\r\n")[0]
            assert b"Connection: close" in answer


async def test_a_download_is_kept_and_not_shown():
    async with console(ROUTES) as running:
        status, body, response = await running.ask("GET", "/api/things/export", READER)
        assert (status, body) == (200, b"<script>alert(1)</script>")
        assert response.headers["Content-Disposition"] == 'attachment; filename="x.bin"'


async def test_half_a_download_does_not_look_whole():
    async with console(ROUTES) as running:
        with pytest.raises(ClientError):
            await running.ask("GET", "/api/broken", READER)


async def test_failed_changes_are_told_of_and_failed_looks_are_not():
    async with console(ROUTES) as running:
        await running.ask("GET", "/api/fail", READER)
        await running.ask("DELETE", "/api/things/x", READER)
        await running.ask("DELETE", "/api/things/x")
        await running.ask("POST", "/api/refuse", OPERATOR, JSON, data=b"{}")
        await running.ask("POST", "/api/fail", OPERATOR, JSON, data=b"{}")
        await running.ask("POST", "/api/things", OPERATOR, {"Content-Type": "text/plain"}, data=b"{}")
        assert running.refused == [
            ("console_token:t-read", "x", 403),
            ("nobody", "x", 401),
            ("console_token:t-operate", "", 409),
            ("console_token:t-operate", "", 500),
            ("console_token:t-operate", "", 415),
        ]


async def test_a_change_is_made_whole_though_its_client_leaves():
    begun, go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def change(call):
        begun.set()
        await go.wait()
        done.set()
        return {}

    async with console([route("POST", "/api/slow", handle=change, role=Role.OPERATE)]) as running:
        asked = spawn(running.ask("POST", "/api/slow", OPERATOR, JSON, data=b"{}"), name="asked")
        await begun.wait()
        asked.cancel()
        await asyncio.sleep(0.1)
        go.set()
        await asyncio.wait_for(done.wait(), 2)


def test_no_route_without_a_role():
    with pytest.raises(TypeError):
        Route(method="GET", path="/x", handle=say, summary="x")
    with pytest.raises(TypeError):
        route("GET", "/x", role=None)
    with pytest.raises(ValueError, match="virtual key"):
        route("POST", "/x", scoped=True)
    with pytest.raises(ValueError, match="twice"):
        Routes([route("GET", "/x"), route("GET", "/x")])
