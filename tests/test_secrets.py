"""The master key and what is derived from it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.core.credentials import VIRTUAL_KEY
from gateway.secrets import Keyring, SecretError, load, new_virtual_key
from gateway.settings import Settings, SettingsError

ROOT = Path(__file__).parents[1]
MASTER = "m" * 32


def test_keys_are_derived_as_the_standard_says():
    def reference(purpose):
        return HKDF(SHA256(), 32, salt=b"llm-gateway", info=purpose).derive(MASTER.encode())

    ring = Keyring(MASTER)
    assert ring.bodies == reference(b"bodies")
    assert ring.id == reference(b"id")[:4].hex()
    assert len({ring.bodies, ring._hashing, ring._encryption}) == 3


def test_a_virtual_key_is_long_and_never_the_same():
    made = {new_virtual_key() for _ in range(100)}
    assert len(made) == 100
    assert all(VIRTUAL_KEY.fullmatch(key) for key in made)


def test_hashes_differ_by_every_byte_and_by_master_key():
    ring = Keyring(MASTER)
    first, second = "gw_" + "x" * 200 + "a", "gw_" + "x" * 200 + "b"
    assert ring.hash(first) == ring.hash(first)
    assert ring.hash(first) != ring.hash(second)
    assert ring.hash(first) != Keyring("n" * 32).hash(first)
    assert ring.hash(ring.hash(first)) != ring.hash(first)
    assert len(ring.hash("\udcff")) == 64


def test_what_is_sealed_opens_only_where_it_was_stored():
    ring = Keyring(MASTER)
    sealed = ring.seal("sk-canary", "row-1", "secret")
    assert "canary" not in sealed
    assert ring.open(sealed, "row-1", "secret") == "sk-canary"
    assert ring.seal("sk-canary", "row-1", "secret") != sealed
    for row, field in (("row-2", "secret"), ("row-1", "other"), ("row-1\0secret", ""), ("", "row-1\0secret")):
        with pytest.raises(SecretError, match="another place"):
            ring.open(sealed, row, field)


def test_what_was_tampered_with_does_not_open():
    ring = Keyring(MASTER)
    sealed = ring.seal("sk-canary", "row-1", "secret")
    head, _, data = sealed.rpartition(".")
    for broken in (
        f"{head}.{data[:-6]}AAAA{data[-2:]}",
        f"{head}.{data[4:]}",
        f"{head}.",
        f"{head}.%",
        f"{head}.é",
    ):
        with pytest.raises(SecretError, match="damaged"):
            ring.open(broken, "row-1", "secret")
    for other in (f"v2.{ring.id}.{data}", data, "", "sk-plain"):
        with pytest.raises(SecretError, match="another secret_key"):
            ring.open(other, "row-1", "secret")
    with pytest.raises(SecretError, match="another secret_key"):
        Keyring("n" * 32).open(sealed, "row-1", "secret")


def test_the_first_start_makes_a_key_that_the_second_finds(tmp_path):
    settings = Settings(state_dir=str(tmp_path / "a" / "b"))
    ring = load(settings)
    file = tmp_path / "a" / "b" / "secret.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [*file.parent.iterdir()] == [file]
    assert load(settings).id == ring.id
    assert load(Settings(state_dir=str(tmp_path / "c"))).id != ring.id


def test_a_key_that_is_set_needs_no_file(tmp_path):
    settings = Settings(state_dir=str(tmp_path), secret_key=MASTER)
    assert load(settings).id == Keyring(MASTER).id
    assert [*tmp_path.iterdir()] == []


def test_two_processes_that_start_at_once_have_the_same_key(tmp_path):
    program = (
        "import sys; from gateway.secrets import load; from gateway.settings import Settings\n"
        "sys.stdin.read(); print(load(Settings(state_dir=sys.argv[1])).id)"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "state")],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    for process in started:
        process.stdin.close()  # all are loaded by now, or nearly
    assert len({process.stdout.read() for process in started}) == 1
    assert [process.wait() for process in started] == [0] * 4
    for process in started:
        process.stdout.close()


def test_the_loser_of_that_race_reads_the_winners_key(tmp_path, monkeypatch):
    settings = Settings(state_dir=str(tmp_path))
    link = os.link

    def late(source, target):
        Path(target).write_text("w" * 64)
        Path(target).chmod(0o600)
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert load(settings).id == Keyring("w" * 64).id
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]


@pytest.mark.parametrize("content", ["", " \n", "short", "\n" * 64])
def test_a_blank_or_cut_key_file_is_refused(tmp_path, content):
    (tmp_path / "secret.key").write_text(content)
    with pytest.raises(SettingsError, match=r"secret\.key: the secret key is blank or cut"):
        load(Settings(state_dir=str(tmp_path)))
    assert (tmp_path / "secret.key").read_text() == content


def test_a_key_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "secret.key").write_bytes(b"\xff" * 64)
    with pytest.raises(SettingsError, match="it is no text"):
        load(Settings(state_dir=str(tmp_path)))


def test_a_key_file_that_others_can_read_is_closed(tmp_path):
    (tmp_path / "secret.key").write_text(MASTER)
    (tmp_path / "secret.key").chmod(0o644)
    load(Settings(state_dir=str(tmp_path)))
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_can_not_be_made_is_said(tmp_path):
    (tmp_path / "state").write_text("a file")
    with pytest.raises(SettingsError, match="choose another folder with GATEWAY_STATE_DIR"):
        load(Settings(state_dir=str(tmp_path / "state")))
