"""Providers, and the operator's keys for them."""

import pytest

from gateway.storage.snapshot import SECRET_FIELD
from tests.console.conftest import ADMIN, stored

SECRET = "sk-canary-0123456789abcdef-WXYZ"


async def test_every_provider_is_listed(running):
    status, body, _ = await running.ask("GET", "/api/providers", ADMIN)
    assert status == 200
    by_id = {item["id"]: item for item in body["items"]}
    assert len(by_id) > 5
    assert by_id["openai"]["base_url"] == "https://api.openai.com/v1"
    assert {item["key"] for item in by_id.values()} == {"none"}


async def test_a_key_is_set_replaced_and_deleted_and_never_shown(running, tmp_path):
    made = await running.made(ADMIN, "/api/providers", provider="openai", api_key=SECRET)
    assert (made["key"], made["hint"], made["stored"]) == ("stored", "WXYZ", True)
    assert running.snapshots.current.secrets == {"openai": SECRET}
    assert (await running.ask("POST", "/api/providers", ADMIN, json={"provider": "openai", "api_key": "x"}))[
        0
    ] == 409

    status, body, _ = await running.ask("PATCH", "/api/providers/openai", ADMIN, json={"api_key": "short"})
    assert (status, body["hint"]) == (200, "")
    assert running.snapshots.current.secrets == {"openai": "short"}

    for path in ("/api/providers", "/api/providers/openai", "/api/audit"):
        _, body, _ = await running.ask("GET", path, ADMIN)
        assert "canary" not in str(body)
        assert "ciphertext" not in str(body) or "…" in str(body)
    for file in tmp_path.iterdir():
        assert SECRET.encode() not in file.read_bytes()

    assert (await running.ask("DELETE", "/api/providers/openai", ADMIN))[0] == 204
    assert running.snapshots.current.secrets == {}
    assert (await running.ask("DELETE", "/api/providers/openai", ADMIN))[0] == 404
    assert (await running.ask("PATCH", "/api/providers/openai", ADMIN, json={"api_key": "x"}))[0] == 404


async def test_a_key_is_bound_to_its_provider(running):
    await running.made(ADMIN, "/api/providers", provider="openai", api_key=SECRET)
    created = running.refresh._created["provider_secrets"][0]
    assert running.keyring.open(created.ciphertext, "openai", SECRET_FIELD) == SECRET
    with pytest.raises(Exception, match="another place"):
        running.keyring.open(created.ciphertext, "anthropic", SECRET_FIELD)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"provider": "nowhere", "api_key": "x"}, "provider"),
        ({"provider": "openai", "api_key": ""}, "api_key"),
        ({"provider": "openai", "api_key": "a b"}, "api_key"),
        ({"provider": "openai", "api_key": "a\r\nX-Evil: 1"}, "api_key"),
        ({"provider": "openai", "api_key": "é"}, "api_key"),
        ({"provider": "openai", "api_key": "gw_mine"}, "api_key"),
        ({"provider": "openai", "api_key": "x" * 5000}, "api_key"),
        ({"provider": "openai", "api_key": "x", "base_url": "https://evil.example"}, "base_url"),
        ({"provider": "openai", "api_key": "x", "like": "openai"}, "like"),
        ({"provider": "openai"}, "api_key"),
    ],
)
async def test_what_can_not_be(running, body, path):
    status, answer, _ = await running.ask("POST", "/api/providers", ADMIN, json=body)
    assert (status, answer["error"]["path"]) == (400, path)
    assert running.snapshots.current.secrets == {}


async def test_a_configured_key_counts_before_a_stored_one(tmp_path):
    async with stored(tmp_path, secrets={"openai": "from the environment"}) as running:
        made = await running.made(ADMIN, "/api/providers", provider="openai", api_key=SECRET)
        assert (made["key"], made["stored"]) == ("configured", True)
        assert running.snapshots.current.secrets == {"openai": "from the environment"}
