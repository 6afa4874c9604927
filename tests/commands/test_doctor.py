"""`doctor`: what it finds on this machine and at providers, be they well or broken in every way."""

import asyncio
import contextlib
import re
import socket
import sqlite3
from pathlib import Path

import pytest

from gateway import demo
from gateway.core.entities import ProviderSecret
from gateway.secrets import Keyring
from gateway.storage.database import Database
from gateway.storage.queries import entities
from gateway.storage.snapshot import SECRET_FIELD
from tests.clients.scripted import http
from tests.harness.command import run
from tests.harness.dialects import DIALECTS
from tests.harness.places import black_hole, certificate, closed_port, server_context, silent_port
from tests.harness.process import Gateway
from tests.harness.upstream import ScriptedUpstream, compile_script, fin, send

KEY = "sk-canary-doctor"
MASTER = "canary-master-" + "m" * 32
LINE = re.compile(r"(ok|note|wrong) +(\S+(?: \S+)*?) {2,}(.*)")
PORTS = ("--port", "0", "--console-port", "0")


def doctor(folder, *arguments, **variables):
    """Run it; return its exit code, and what it says of each thing."""
    done = run("doctor", *arguments, cwd=folder, **variables)
    assert "Traceback" not in done.stderr
    assert not {KEY, MASTER} & set(re.split(r"[\s:/]", done.stdout + done.stderr))
    said = {}
    for line in done.stdout.splitlines():
        state, about, what = LINE.fullmatch(line).groups()
        said.setdefault(about, (state, what))
    return done.returncode, said


def keep(folder):
    """Where a gateway keeps things whose home this is."""
    return Path(folder) / ".local/state/llm-gateway"


def test_on_a_fresh_machine_nothing_is_wrong_and_nothing_is_made(tmp_path):
    code, said = doctor(tmp_path, *PORTS)
    assert code == 0
    assert {about: state for about, (state, _) in said.items()} == {
        "configuration": "ok",
        "state folder": "note",
        "database": "note",
        "secret key": "note",
        "proxy port": "ok",
        "console port": "ok",
        "providers": "note",
    }
    assert list(tmp_path.iterdir()) == []


async def test_providers_that_are_well(tmp_path):
    names = ("openai", "anthropic", "gemini", "groq")
    async with await demo.start() as fake:
        bases = {f"GATEWAY_{name.upper()}_BASE_URL": f"{fake.url}/{name}" for name in names}
        keys = {f"{name.upper()}_API_KEY": KEY for name in names[:3]}  # groq: the clients' own
        code, said = await asyncio.to_thread(doctor, tmp_path, *PORTS, **bases, **keys)
    assert code == 0
    for name in names:
        state, what = said[name]
        assert state == "ok"
        assert re.search(r"/models answers with \d+ models; no price is known for demo-text, ", what), what
    assert f"{fake.url}/anthropic/v1/models " in said["anthropic"][1]
    assert f"{fake.url}/gemini/v1beta/models " in said["gemini"][1]


MODELS = b'{"data":[{"id":"gpt-4o-mini"},{"id":"mine"},{"id":"acme-1"},{"id":"\\u001b[2J"}]}'
ANSWERS = {
    "well": ([send(http(MODELS))], "ok", "answers with 4 models; no price is known for acme-1, �[2J"),
    "empty": ([send(http(b'{"data":[]}'))], "note", "answers, but lists no models"),
    "e401": (401, "wrong", "answers 401: it does not accept the key"),
    "e403": (403, "note", "answers 403: it knows the key, which may not list models: it is restricted, or its account is"),
    "wall": (
        [send(http(b"<html>", "HTTP/1.1 403 Scripted"))],
        "wrong",
        "answers 403: it refuses, whatever the key; a firewall, or the country that this is in?",
    ),
    "e404": (404, "wrong", "answers 404: it has no such path; is the base URL right?"),
    "e429": (429, "wrong", "answers 429: too many requests, or no credit left"),
    "e500": (500, "wrong", "answers 500: it fails by itself"),
    "e301": (301, "wrong", "answers 301: that is no list of models; is the base URL right?"),
    "page": ([send(http(b"<html>"))], "wrong", "answers 200, but with no list of models; is the base URL right?"),
    "cut": ([send(http(MODELS)[:-9]), fin()], "wrong", "The upstream broke off its answer"),
    "noise": ([send(b"220 mail.example ESMTP\r\n\r\n"), fin()], "wrong", "The upstream's answer is not valid HTTP"),
    "mute": ([fin()], "wrong", "The upstream closed the connection before it answered"),
}  # fmt: skip


async def test_providers_in_every_state(tmp_path):
    upstream = ScriptedUpstream()
    await upstream.start()
    rows = {name: f"http://127.0.0.1:{upstream.port}/{name}/v1" for name in ANSWERS}
    for name, (steps, _, _) in ANSWERS.items():
        script = steps if isinstance(steps, list) else [send(http(b"{}", f"HTTP/1.1 {steps} Scripted"))]
        upstream.marked[f"/{name}/v1/models ".encode()] = compile_script(script, DIALECTS["chat"])
    with contextlib.ExitStack() as places:
        secure = ScriptedUpstream()
        await secure.start(server_context(certificate(tmp_path, "self-signed", "localhost")))
        rows |= {
            "refused": f"http://127.0.0.1:{places.enter_context(closed_port())}/v1",
            "full": f"http://127.0.0.1:{places.enter_context(black_hole())}/v1",
            "silent": f"http://127.0.0.1:{places.enter_context(silent_port())}/v1",
            "nowhere": "http://nowhere.invalid/v1",
            "untrusted": f"https://localhost:{secure.port}/v1",
        }
        text = '[timeouts]\nconnect = 1\n[[prices]]\nprovider = "well"\nmodel = "mine"\ninput = 1.0\n'
        for name, url in rows.items():
            text += f'[providers.{name}]\nlike = "openai"\nbase_url = "{url}"\napi_key = "env:KEY"\n'
        text = text.replace("[providers.well]\n", '[providers.well]\nprices = "openai"\n')
        (tmp_path / "gateway.toml").write_text(text)
        code, said = await asyncio.to_thread(doctor, tmp_path, *PORTS, "--deadline", "4", KEY=KEY)
        await secure.stop()
    await upstream.stop()
    assert code == 1
    for name, (_, state, what) in ANSWERS.items():
        assert said[name][0] == state, said[name]
        assert said[name][1].startswith(rows[name] + "/models")
        assert said[name][1].endswith(what), said[name]
    for name, what in {
        "refused": "No connection to the upstream could be made: Connect call failed",
        "full": "No connection to the upstream could be made in time (timeouts.connect)",
        "silent": "has not answered within 4 seconds",
        "nowhere": "The upstream's host name can't be resolved: ",
        "untrusted": "The upstream's TLS certificate or handshake is not valid: self-signed certificate",
    }.items():
        assert said[name][0] == "wrong"
        assert what in said[name][1], said[name]


async def test_without_a_key_a_provider_that_wants_one_is_well(tmp_path):
    upstream = ScriptedUpstream()
    await upstream.start()
    upstream.queue.append(compile_script([send(http(b"{}", "HTTP/1.1 401 Scripted"))], DIALECTS["chat"]))
    base = f"http://127.0.0.1:{upstream.port}"
    code, said = await asyncio.to_thread(doctor, tmp_path, *PORTS, GATEWAY_OPENAI_BASE_URL=base)
    await upstream.stop()
    assert (code, said["openai"][0]) == (0, "ok")
    assert said["openai"][1].endswith("wants a key; there is none here, so clients bring it")


def test_a_configuration_that_can_not_be(tmp_path):
    (tmp_path / "gateway.toml").write_text("\nprot = 1\n")
    assert doctor(tmp_path) == (
        1,
        {"configuration": ("wrong", "gateway.toml:2: unknown key 'prot'; did you mean 'port'?")},
    )


def test_what_is_set_in_vain_is_noted(tmp_path):
    done = run("doctor", *PORTS, cwd=tmp_path, GATEWAY_PROT="1")
    assert "note   configuration  unknown variable GATEWAY_PROT; did you mean 'GATEWAY_PORT'?" in done.stdout
    assert done.returncode == 0


def test_a_gateway_that_runs_is_no_one_elses_port(tmp_path):
    variables = {"GATEWAY_STATE_DIR": str(tmp_path), "GATEWAY_DRAIN_ACCEPT": "0"}
    gateway = Gateway(variables).wait_ready()
    ports = ("--port", str(gateway.port), "--console-port", str(gateway.console_port))
    try:
        code, said = doctor(tmp_path, *ports, **variables)
    finally:
        gateway.stop()
    assert code == 0
    assert said["proxy port"] == ("ok", f"a gateway answers at 127.0.0.1:{gateway.port}")
    assert said["console port"] == ("ok", f"a gateway answers at 127.0.0.1:{gateway.console_port}")
    assert [said[about][0] for about in ("state folder", "database", "secret key")] == ["ok"] * 3


def test_ports_that_can_not_be_had(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, said = doctor(tmp_path, "--port", port, "--console-port", "0", GATEWAY_CONSOLE_HOST="127.0.0.1")
    assert code == 1
    assert said["proxy port"] == ("wrong", f"127.0.0.1:{port} can't be had: address already in use")
    code, said = doctor(tmp_path, "--host", "192.0.2.1", *PORTS)  # of no machine
    assert code == 1
    assert said["proxy port"][1].startswith("192.0.2.1:0 can't be had: ")


def test_a_folder_that_can_not_be_written_to(tmp_path):
    (tmp_path / "file").touch()
    code, said = doctor(tmp_path, *PORTS, GATEWAY_STATE_DIR=str(tmp_path / "file/state"))
    assert code == 1
    assert said["state folder"] == ("wrong", f"{tmp_path}/file can't be written to: Not a directory")


@pytest.mark.parametrize(
    ("statement", "state", "said"),
    [
        ("UPDATE alembic_version SET version_num = '9999'", "wrong", "newer version of llm-gateway (9999 after "),
        ("UPDATE alembic_version SET version_num = '0000'", "note", "is at revision 0000; migrate, or the next"),
        (None, "wrong", "file is not a database"),
    ],
)  # fmt: skip
def test_databases_of_other_versions_and_none_at_all(tmp_path, statement, state, said):
    assert run("migrate", cwd=tmp_path).returncode == 0
    file = keep(tmp_path) / "gateway.db"
    if statement:
        with sqlite3.connect(file) as connection:
            connection.execute(statement)
        connection.close()
    else:
        file.write_bytes(b"this is no database at all, whatever its name says" * 100)
    code, found = doctor(tmp_path, *PORTS)
    assert code == (state == "wrong")
    assert found["database"][0] == state
    assert said in found["database"][1]


def test_a_database_that_is_locked(tmp_path):
    assert run("migrate", cwd=tmp_path).returncode == 0
    with sqlite3.connect(keep(tmp_path) / "gateway.db", isolation_level=None) as connection:
        connection.execute("BEGIN IMMEDIATE")
        code, said = doctor(tmp_path, *PORTS)
    connection.close()
    assert (code, said["database"][0]) == (1, "wrong")
    assert said["database"][1].endswith("database is locked")


def test_a_database_that_is_not_there(tmp_path):
    place = "postgresql+asyncpg://me:s3cret-canary@127.0.0.1:1/x"
    code, said = doctor(tmp_path, *PORTS, GATEWAY_DATABASE_URL=place)
    assert (code, said["database"][0]) == (1, "wrong")
    assert "s3cret" not in str(said)


def test_a_key_file_that_is_lost(tmp_path):
    assert run("keys", "create", "--name", "ci", cwd=tmp_path).returncode == 0
    code, said = doctor(tmp_path, *PORTS)
    assert (code, said["secret key"][0]) == (0, "ok")
    (keep(tmp_path) / "secret.key").unlink()
    code, said = doctor(tmp_path, *PORTS)
    assert (code, said["secret key"][0]) == (1, "wrong")
    assert said["secret key"][1].endswith("keys in the database that are of no use without it: 1")
    assert not (keep(tmp_path) / "secret.key").exists()


async def test_a_stored_key_is_used_and_one_of_another_master_key_told_of(url, tmp_path):
    ciphertext = Keyring(MASTER).seal(KEY, "openai", SECRET_FIELD)
    database = Database(url, b"")
    await database.open()
    async with database.write() as connection:
        row = ProviderSecret(id="openai", provider="openai", ciphertext=ciphertext)
        await entities.create(connection, "provider_secrets", row, "test")
    await database.close()
    upstream = ScriptedUpstream()
    await upstream.start()
    upstream.queue.append(compile_script([send(http(MODELS))], DIALECTS["chat"]))
    variables = {"GATEWAY_DATABASE_URL": url, "GATEWAY_OPENAI_BASE_URL": f"http://127.0.0.1:{upstream.port}"}
    code, said = await asyncio.to_thread(
        doctor, tmp_path, *PORTS, GATEWAY_SECRET_KEY=MASTER, **variables
    )  # fmt: skip
    assert (code, said["database"][0], said["openai"][0]) == (0, "ok", "ok")
    assert [each.header("authorization") for each in upstream.requests] == [f"Bearer {KEY}"]
    upstream.requests.clear()
    upstream.queue.append(compile_script([send(http(MODELS))], DIALECTS["chat"]))
    code, said = await asyncio.to_thread(
        doctor, tmp_path, *PORTS, GATEWAY_SECRET_KEY=MASTER, OPENAI_API_KEY="another", **variables
    )
    assert code == 0
    assert said["openai"] == (
        "note",
        "the environment or the configuration file gives its key, so the stored one does not count",
    )
    assert [each.header("authorization") for each in upstream.requests] == ["Bearer another"]
    await upstream.stop()
    code, said = await asyncio.to_thread(
        doctor, tmp_path, *PORTS, GATEWAY_SECRET_KEY="x" * 40, GATEWAY_DATABASE_URL=url
    )
    assert code == 1
    assert said["openai"][1].startswith(
        "its stored key can't be used: it is encrypted under another secret_key"
    )
