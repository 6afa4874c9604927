"""`export`: every interaction once, newest first, as the console's API has it, however many there are."""

import os
import stat
import subprocess
import sys

import msgspec
import pytest

from gateway.storage.database import Database
from tests.clients.scripted import http, request, scripted
from tests.harness.client import exchange
from tests.harness.command import ROOT, run, started
from tests.storage.made import START, record, store

CHAT = b'{"model":"m","messages":[{"role":"user","content":"Hello there"}]}'
ANSWER = (
    b'{"id":"1","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}'
)


async def fill(url, *records):
    database = Database(url, b"")
    await database.open()
    for first in range(0, len(records), 500):
        await store(database, *records[first : first + 500])
    await database.close()


def lines(text):
    return [msgspec.json.decode(line) for line in text.splitlines()]


def export(folder, url, *arguments):
    done = run("export", *arguments, cwd=folder, GATEWAY_DATABASE_URL=url)
    assert done.returncode == 0, done.stderr
    found = lines(done.stdout)
    assert done.stderr == f"Interactions: {len(found)}\n"
    return [each["id"] for each in found]


async def test_every_interaction_once_and_newest_first(url, tmp_path):
    made = [record(START + n) for n in range(1203)]
    await fill(url, *made)
    assert export(tmp_path, url) == [each.id for each in reversed(made)]


async def test_the_filters_are_those_of_the_list(url, tmp_path):
    made = {
        "old": record(START - 86400),
        "plain": record(START),
        "failed": record(START + 1, status=503, outcome="upstream_status", error_kind="overloaded"),
        "blocked": record(START + 2, blocked_tools=("rm",), agent="support", tools=("rm",)),
        "said": record(START + 3, text="where is the pineapple", session="s1"),
    }
    await fill(url, *made.values())
    names = {each.id: name for name, each in made.items()}
    for arguments, wanted in {
        ("--from", "2025-10-09"): ["said", "blocked", "failed", "plain"],
        ("--to", "2025-10-09T00:00:00Z"): ["old"],
        ("--from", "2025-10-09T10:53:22+02:00", "--to", "2025-10-09T08:53:23Z"): ["blocked"],
        ("--status", "503"): ["failed"],
        ("--error-kind", "overloaded", "--outcome", "upstream_status"): ["failed"],
        ("--blocked",): ["blocked"],
        ("--no-blocked", "--from", "2025-10-09"): ["said", "failed", "plain"],
        ("--agent", "support", "--tool", "rm"): ["blocked"],
        ("--session", "s1"): ["said"],
        ("--agent", "nobody"): [],
    }.items():
        assert [names[id_] for id_ in export(tmp_path, url, *arguments)] == wanted, arguments


async def test_it_is_what_the_console_exports(tmp_path):
    """From a gateway that runs, and goes on to run."""
    variables = {"GATEWAY_STATE_DIR": str(tmp_path)}
    async with scripted(variables) as gate:
        for _ in range(3):
            got, _ = await gate.ask(request("/v1/openai/chat/completions", CHAT), http(ANSWER))
            await gate.record(got)
        done = run("export", cwd=tmp_path, **variables)
        raw = request("/api/interactions/export", None, ["connection: close"])
        told = (await exchange(gate.gateway.console_port, raw)).response.body
    assert done.stdout.encode() == told
    assert [each["model"] for each in lines(done.stdout)] == ["m"] * 3


async def test_a_file_is_there_when_it_is_whole(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path}/gateway.db"
    await fill(url, record())
    file = tmp_path / "log.jsonl"
    file.write_text("that of yesterday")
    done = run("export", "--output", "log.jsonl", "--q", " ", cwd=tmp_path, GATEWAY_DATABASE_URL=url)
    assert done.returncode == 1
    assert done.stderr.startswith("llm-gateway: `q` is what to look for")
    assert file.read_text() == "that of yesterday"
    done = run("export", "--output", "log.jsonl", cwd=tmp_path, GATEWAY_DATABASE_URL=url)
    assert (done.returncode, done.stdout) == (0, "")
    assert len(lines(file.read_text())) == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir() if "log" in each.name] == ["log.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ["--output", "nowhere/log.jsonl"],
            1,
            "nowhere/log.jsonl can't be written: No such file or directory",
        ),
        (["--output", "/dev/full/x"], 1, "can't be written: Not a directory"),
        (["--from", "yesterday"], 2, "--from: 'yesterday' is no time"),
        (["--status", "many"], 2, "--status: invalid int value: 'many'"),
        (["--status", "12345"], 1, "`status` is a number of three digits"),
        (["--outcome", "bogus"], 1, "`outcome` is one of ok, client_error, client_cancelled,"),
        (["--source", "bogus"], 1, "`source` is one of api, chat, dual_llm"),
        (["--agent", "\udcff"], 1, "`agent` holds what can't be"),
    ],
)
def test_what_can_not_be_asked_for(tmp_path, arguments, code, said):
    done = run("export", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_reader_that_wants_no_more_is_no_mistake_to_be_told_of(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path}/gateway.db"
    await fill(url, *(record(START + n) for n in range(2000)))
    process = started("export", cwd=tmp_path, GATEWAY_DATABASE_URL=url)
    assert process.stdout.readline().startswith("{")
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(30) == 1
    process.stdin.close()
    process.stderr.close()


@pytest.mark.parametrize("count", [1, 50])
async def test_a_full_disk_is_told_of(tmp_path, count):
    url = f"sqlite+aiosqlite:///{tmp_path}/gateway.db"
    await fill(url, *(record(START + n) for n in range(count)))
    full = os.open("/dev/full", os.O_WRONLY)
    process = started("export", cwd=tmp_path, stdout=full, GATEWAY_DATABASE_URL=url)
    os.close(full)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said == "llm-gateway: standard output can't be written: No space left on device\n"


MEASURED = """
import pathlib, re, sys
from gateway.__main__ import main
assert main(["export", "--output", sys.argv[1]]) == 0
print(re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1])
"""


def measured(url, file):
    """The most memory that an export took, in KiB."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(file)],
        cwd=ROOT, env=os.environ | {"GATEWAY_DATABASE_URL": url}, capture_output=True, check=True,
    )  # fmt: skip
    return int(done.stdout)


async def test_it_takes_no_more_memory_for_more(tmp_path):
    peaks = []
    for count in (500, 20_000):
        url = f"sqlite+aiosqlite:///{tmp_path}/{count}.db"
        await fill(url, *(record(START + n) for n in range(count)))
        peaks.append(measured(url, tmp_path / "log"))
    assert peaks[1] - peaks[0] < 20 << 10  # of which 16 are SQLite's own cache
