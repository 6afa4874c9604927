"""What is set up through the API: every kind alike."""

from datetime import UTC, datetime

import msgspec
import pytest

from gateway.core.entities import KINDS, VirtualKey
from gateway.settings import UNENFORCED
from gateway.storage.queries import entities
from tests.console.conftest import ADMIN, stored

NEW = {
    "agents": {"slug": "one", "name": "One", "labels": {"env": "prod"}, "context_untrusted": True},
    "teams": {"slug": "one"},
    "users": {"slug": "one", "name": "Ann"},
    "virtual_keys": {"name": "ci", "agent": "support", "providers": ["openai"], "models": ["gpt-4o*"]},
    "console_tokens": {"name": "grafana", "role": "read", "expires": "2030-01-01T00:00:00Z"},
    "tool_invocation_policies": {
        "tool": "read_file",
        "action": "block_always",
        "conditions": [{"key": "path", "operator": "contains", "value": "/etc/"}],
    },
    "trusted_data_policies": {"tool": "web__*", "action": "sanitize_with_dual_llm", "agents": ["support"]},
    "limits": {"scope": "agent", "scope_id": "support", "kind": "cost", "amount": 25.5},
    "model_optimization_rules": {
        "provider": "openai",
        "target_model": "small",
        "conditions": [{"max_length": 1000}, {"has_tools": False}],
    },
    "prices": {"provider": "openai", "model": "my-finetune", "input": 3.0, "cache_read": 0.3},
}
REGEX = {"key": "a", "operator": "regex", "value": "(?=b)"}
CHANGES = {
    "agents": {"name": "Two", "toon": True},
    "teams": {"name": "Two"},
    "users": {"name": "Two"},
    "virtual_keys": {"revoked": True, "models": []},
    "console_tokens": {"role": "operate", "expires": None},
    "tool_invocation_policies": {"mode": "shadow", "conditions": []},
    "trusted_data_policies": {"reason": "Because."},
    "limits": {"amount": 0},
    "model_optimization_rules": {"enabled": False},
    "prices": {"output": 0.5, "input": None},
}
PATHS = {kind: f"/api/{kind.replace('_', '-')}" for kind in NEW}


def holds(found, wanted) -> bool:
    """Whether all that was said is there; what was not said may be there too."""
    if isinstance(wanted, dict):
        return all(name in found and holds(found[name], value) for name, value in wanted.items())
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(holds, found, wanted))
    return found == wanted


def test_every_kind_is_tried():
    assert set(NEW) == set(CHANGES) == set(KINDS) - {"provider_secrets"}


@pytest.mark.parametrize("kind", NEW)
async def test_a_life(running, kind):
    path = PATHS[kind]
    made = await running.made(ADMIN, path, **NEW[kind])
    assert holds(made, NEW[kind])
    secret = made.pop("secret", None)
    assert (secret is not None) is (kind in ("virtual_keys", "console_tokens"))
    assert made["declared"] is False

    status, read, _ = await running.ask("GET", f"{path}/{made['id']}", ADMIN)
    assert (status, read) == (200, made)
    _, listed, _ = await running.ask("GET", path, ADMIN)
    assert made in listed["items"]

    status, changed, _ = await running.ask("PATCH", f"{path}/{made['id']}", ADMIN, json=CHANGES[kind])
    assert (status, changed) == (200, made | CHANGES[kind])
    assert (await running.ask("GET", f"{path}/{made['id']}", ADMIN))[1] == changed

    assert (await running.ask("DELETE", f"{path}/{made['id']}", ADMIN))[0] == 204
    for method in ("GET", "DELETE"):
        assert (await running.ask(method, f"{path}/{made['id']}", ADMIN))[0] == 404
    assert (await running.ask("PATCH", f"{path}/{made['id']}", ADMIN, json={}))[0] == 404


@pytest.mark.parametrize("kind", NEW)
async def test_what_the_gateway_sets_nobody_else_does(running, kind):
    made = await running.made(ADMIN, PATHS[kind], **NEW[kind])
    for field in ("id", "declared", "hash", "hint", "ciphertext", "secret", "created_at", "colour"):
        for method, path, body in (
            ("POST", PATHS[kind], NEW[kind]),
            ("PATCH", f"{PATHS[kind]}/{made['id']}", {}),
        ):
            status, answer, _ = await running.ask(method, path, ADMIN, json=body | {field: "ab" * 32})
            assert (status, answer["error"]["path"]) == (400, field)
    assert (await running.ask("GET", f"{PATHS[kind]}/{made['id']}", ADMIN))[1].items() <= made.items()


@pytest.mark.parametrize(
    ("kind", "values", "path"),
    [
        ("agents", {"slug": "a b"}, "slug"),
        ("agents", {"slug": "one", "team": "nowhere"}, "team"),
        ("agents", {"slug": "one", "labels": {"a": 1}}, "labels[...]"),
        ("virtual_keys", {"name": " "}, "name"),
        ("virtual_keys", {"name": "x", "agent": "nobody"}, "agent"),
        ("virtual_keys", {"name": "x", "providers": ["openai", "nowhere"]}, "providers"),
        ("virtual_keys", {"name": "x", "expires": "2030-01-01T00:00:00"}, "expires"),
        ("console_tokens", {"name": "x", "role": "root"}, "role"),
        ("limits", {"kind": "cost", "scope": "agent"}, "scope_id"),
        ("limits", {"kind": "cost", "amount": -1}, "amount"),
        ("limits", {"kind": "beer"}, "kind"),
        ("limits", {"kind": "cost", "scope": "agent", "scope_id": "nobody"}, "scope_id"),
        ("limits", {"kind": "cost", "scope": "team", "scope_id": "support"}, "scope_id"),
        ("limits", {"kind": "cost", "scope": "virtual_key", "scope_id": "support"}, "scope_id"),
        ("prices", {"provider": "nowhere", "model": "m"}, "provider"),
        ("prices", {"provider": "openai", "model": "m", "input": 1e300}, "input"),
        ("prices", {"provider": "openai", "model": "m", "cache_write_1h": 1_000_001}, "cache_write_1h"),
        ("tool_invocation_policies", {"tool": "x", "action": ""}, "action"),
        (
            "tool_invocation_policies",
            NEW["tool_invocation_policies"] | {"conditions": [REGEX]},
            "conditions[0].value",
        ),
        (
            "trusted_data_policies",
            NEW["trusted_data_policies"] | {"conditions": [REGEX]},
            "conditions[0].value",
        ),
        ("trusted_data_policies", NEW["trusted_data_policies"] | {"tool": "a["}, "tool"),
        ("virtual_keys", {"name": "x", "models": ["["]}, "models[0]"),
        (
            "model_optimization_rules",
            NEW["model_optimization_rules"] | {"conditions": [{}, {"hour": [9, 25]}]},
            "conditions[1].hour",
        ),
        ("trusted_data_policies", {"tool": "x", "action": "mark_as_trusted", "agents": ["nobody"]}, "agents"),
        ("tool_invocation_policies", {"action": "block_always"}, "tool"),
    ],
)
async def test_what_can_not_be(running, kind, values, path):
    status, body, _ = await running.ask("POST", PATHS[kind], ADMIN, json=values)
    assert (status, body["error"].get("path")) == (400, path), body


@pytest.mark.parametrize("kind", ["virtual_keys", "console_tokens"])
async def test_nothing_is_made_that_is_over_already(running, kind):
    over = {"expires": "2020-01-01T00:00:00Z"}
    made = await running.made(ADMIN, PATHS[kind], **NEW[kind])
    for method, path, body in (
        ("POST", PATHS[kind], NEW[kind] | over),
        ("PATCH", f"{PATHS[kind]}/{made['id']}", over),
    ):
        status, refused, _ = await running.ask(method, path, ADMIN, json=body)
        assert (status, refused["error"]["path"]) == (400, "expires")
        assert refused["error"]["message"] == "This is over already."


async def test_what_has_expired_can_be_changed(running):
    made = await running.made(ADMIN, "/api/virtual-keys", **NEW["virtual_keys"])
    async with running.database.write() as connection:
        key = await entities.read(connection, "virtual_keys", made["id"], VirtualKey)
        expired = msgspec.structs.replace(key, expires=datetime(2020, 1, 1, tzinfo=UTC))
        await entities.update(connection, "virtual_keys", expired, "a test")
    path = f"/api/virtual-keys/{made['id']}"
    assert (await running.ask("PATCH", path, ADMIN, json={"revoked": True}))[0] == 200


async def test_a_limit_of_a_key_names_it_by_its_id(running):
    key = await running.made(ADMIN, "/api/virtual-keys", **NEW["virtual_keys"])
    limit = {"kind": "cost", "scope": "virtual_key", "scope_id": key["id"]}
    await running.made(ADMIN, "/api/limits", **limit)


@pytest.mark.parametrize("after", ["zzz", "", "~~x", "-", "~/", "-a b", "0"])
async def test_a_cursor_that_is_none_is_said(running, after):
    for kind in NEW:
        status, body, _ = await running.ask("GET", f"{PATHS[kind]}?after={after}", ADMIN)
        assert (status, body["error"].get("path")) == (400, "after"), kind


async def test_a_change_is_held_to_the_same_rules(running):
    made = await running.made(ADMIN, "/api/limits", **NEW["limits"])
    for change, path in (({"amount": -1}, "amount"), ({"scope_id": ""}, "scope_id"), ({"kind": ""}, "kind")):
        status, body, _ = await running.ask("PATCH", f"/api/limits/{made['id']}", ADMIN, json=change)
        assert (status, body["error"]["path"]) == (400, path)
    agent = (await running.ask("GET", "/api/agents/support", ADMIN))[1]
    # What was recorded knows an agent by its slug.
    status, _, _ = await running.ask("PATCH", f"/api/agents/{agent['id']}", ADMIN, json={"slug": "other"})
    assert status == 400


@pytest.mark.parametrize("kind", NEW)
async def test_what_is_not_enforced_yet_says_so(running, kind):
    _, made, created = await running.ask("POST", PATHS[kind], ADMIN, json=NEW[kind])
    _, _, changed = await running.ask("PATCH", f"{PATHS[kind]}/{made['id']}", ADMIN, json=CHANGES[kind])
    for response in (created, changed):
        assert ("X-Gateway-Notice" in response.headers) is (kind in UNENFORCED)


async def test_there_is_one_of_a_name(running):
    assert (await running.ask("POST", "/api/agents", ADMIN, json={"slug": "support"}))[0] == 409
    assert (await running.ask("POST", "/api/agents", ADMIN, json={"slug": "declared"}))[0] == 409
    first = await running.made(ADMIN, "/api/prices", provider="openai", model="a")
    await running.made(ADMIN, "/api/prices", provider="openai", model="b")
    changed = await running.ask("PATCH", f"/api/prices/{first['id']}", ADMIN, json={"model": "b"})
    assert changed[0] == 409


async def test_what_the_file_declares_is_shown_and_stays(running):
    _, listed, _ = await running.ask("GET", "/api/agents", ADMIN)
    assert listed["items"][0]["slug"] == "declared"
    assert [item["declared"] for item in listed["items"]] == [True, False, False]
    declared = listed["items"][0]
    for name in (declared["id"], declared["slug"]):
        assert (await running.ask("GET", f"/api/agents/{name}", ADMIN))[1] == declared
        assert (await running.ask("PATCH", f"/api/agents/{name}", ADMIN, json={"name": "x"}))[0] == 409
        assert (await running.ask("DELETE", f"/api/agents/{name}", ADMIN))[0] == 409
    _, keys, _ = await running.ask("GET", "/api/virtual-keys", ADMIN)
    assert [key["declared"] for key in keys["items"]] == [True]
    assert "ab" * 32 not in str(keys)


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7, 500])
async def test_pages_hold_everything_once(tmp_path, limit):
    toml = "".join(f'[[teams]]\nslug = "f{n}"\n' for n in range(3))
    async with stored(tmp_path, toml=toml) as running:
        for n in range(4):
            await running.made(ADMIN, "/api/teams", slug=f"d{n}")
        seen, after = [], ""
        while True:
            _, page, _ = await running.ask("GET", f"/api/teams?limit={limit}{after}", ADMIN)
            assert len(page["items"]) <= limit
            seen += [item["slug"] for item in page["items"]]
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
        assert seen == ["f0", "f1", "f2", "d0", "d1", "d2", "d3"]


async def test_a_new_agent_can_be_named_at_once(running):
    await running.made(ADMIN, "/api/agents", slug="fresh")
    await running.made(ADMIN, "/api/virtual-keys", name="k", agent="fresh")


async def test_a_key_is_shown_once_and_stored_as_a_hash(running, tmp_path):
    made = await running.made(ADMIN, "/api/virtual-keys", name="k", agent="support")
    token = await running.made(ADMIN, "/api/console-tokens", name="t", role="operate")
    assert made["secret"].startswith("gw_")
    assert len(made["secret"]) >= 46
    assert token["secret"].startswith("gw_console_")
    assert made["secret"].startswith(made["hint"])
    assert len(made["hint"]) < 10
    for path in ("/api/virtual-keys", "/api/console-tokens", "/api/audit", f"/api/virtual-keys/{made['id']}"):
        _, body, _ = await running.ask("GET", path, ADMIN)
        said = str(body)
        for secret in (made["secret"], token["secret"], running.keyring.hash(made["secret"])):
            assert secret not in said
    for file in tmp_path.iterdir():
        assert made["secret"].encode() not in file.read_bytes()

    # They open what they are for, and stop to at once.
    assert (await running.ask("GET", "/api/session", token["secret"]))[1]["role"] == "operate"
    assert (await running.ask("GET", "/api/session", made["secret"]))[1]["agent"] == "support"
    await running.ask("PATCH", f"/api/virtual-keys/{made['id']}", ADMIN, json={"revoked": True})
    await running.ask("DELETE", f"/api/console-tokens/{token['id']}", ADMIN)
    assert (await running.ask("GET", "/api/session", token["secret"]))[0] == 401
    assert (await running.ask("GET", "/api/session", made["secret"]))[0] == 401


async def test_a_revocation_is_final(running):
    made = await running.made(ADMIN, "/api/virtual-keys", name="k", agent="support")
    path = f"/api/virtual-keys/{made['id']}"

    async def change(**values):
        status, body, _ = await running.ask("PATCH", path, ADMIN, json=values)
        return status, body

    assert (await change(revoked=False))[0] == 200
    assert (await change(revoked=True))[1]["revoked"] is True
    status, refused = await change(revoked=False, name="again")
    assert (status, refused["error"]["path"]) == (409, "revoked")
    assert "create a new key" in refused["error"]["message"]
    assert (await change(revoked=True, name="gone"))[0] == 200
    _, shown, _ = await running.ask("GET", path, ADMIN)
    assert (shown["revoked"], shown["name"]) == (True, "gone")
    assert (await running.ask("GET", "/api/session", made["secret"]))[0] == 401


@pytest.mark.parametrize("kind", NEW)
def test_fields_that_hold_secrets_are_known(kind):
    # Whoever adds a field to an entity decides here whether it is shown.
    secret = {"hash", "ciphertext"}
    for field in msgspec.structs.fields(KINDS[kind]):
        assert ("hash" in field.name or "cipher" in field.name or "secret" in field.name) is (
            field.name in secret
        )
