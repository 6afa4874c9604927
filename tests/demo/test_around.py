"""The edges of the fake provider: lists, opaque endpoints, and bodies of the wrong shape."""

import aiohttp
import msgspec
import pytest

from gateway.demo import start


@pytest.fixture
async def call():
    """Send a request and return status and decoded body."""
    async with await start() as demo, aiohttp.ClientSession() as session:

        async def call(method, path, **more):
            async with session.request(method, f"{demo.url}/{path}", **more) as answer:
                raw = await answer.read()
                return answer.status, msgspec.json.decode(raw) if raw[:1] == b"{" else raw

        yield call


async def test_model_lists_of_other_vendors(call):
    assert (await call("GET", "openai/models/demo-error-404"))[0] == 404


async def test_opaque_endpoints(call):
    assert (await call("POST", "openai/images/generations", json={}))[1]["data"][0]["b64_json"]
    assert len((await call("POST", "openai/audio/speech", json={}))[1]) == 1024
    status, batch = await call("POST", "openai/batches", data=b"x" * 900_000)
    assert (status, batch["bytes"]) == (200, 900_000)
    assert batch["id"].startswith("batch_")
    assert (await call("GET", "openai/fine_tuning/jobs"))[1]["data"] == []
    assert (await call("GET", "openai/batches/batch_1"))[1]["id"] == "batch_1"
    assert (await call("HEAD", "anthropic/api/hello"))[0] == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("anthropic/v1/messages", {"output_config": "x"}),
        ("anthropic/v1/messages/count_tokens", {"output_config": "x"}),
        ("openai/chat/completions", {"response_format": {"type": "json_schema", "json_schema": "x"}}),
    ],
)
async def test_a_body_of_the_wrong_shape_is_refused(call, path, body):
    status, error = await call("POST", path, json=body)
    assert status == 400
    assert "error" in error or "message" in error
