"""The spill file: what was appended is there after a crash, and only one process has it."""

import os
import subprocess
import sys

import pytest

from gateway.core.record import Body
from gateway.storage import spill as spill_module
from gateway.storage.spill import Spill, SpillFull, of_worker, orphans
from tests.storage.entries import record, started


@pytest.fixture
def spill(tmp_path):
    found = of_worker(tmp_path, "w1")
    yield found
    found.close()


def everything(spill):
    entries, position = spill.read(0, 1000)
    assert position <= spill.size
    return entries


def test_what_was_appended_is_read_in_order(spill):
    given = [started("a"), record("b", cost=5, decisions=[{"kind": "call"}]), started("c")]
    spill.append(given[:2])
    spill.append(given[2:])
    assert everything(spill) == given
    first, position = spill.read(0, 2)
    assert first == given[:2]
    assert spill.read(position, 2) == (given[2:], spill.size)
    assert spill.read(spill.size, 2) == ([], spill.size)


def test_absent_and_zero_stay_different(spill):
    spill.append([record("a", cost=None, input_tokens=0)])
    [found] = everything(spill)
    assert (found.cost, found.input_tokens, found.output_tokens) == (None, 0, None)


def test_a_frame_that_is_cut_costs_only_itself(spill):
    spill.append([record("a"), record("b")])
    whole = spill.size
    for cut in (1, 5, 20):
        os.truncate(spill.path, whole - cut)
        spill.size = whole - cut
        assert [entry.id for entry in everything(spill)] == ["a"]


def test_a_damaged_frame_is_noticed(spill):
    spill.append([record("a"), record("b"), record("c")])
    _, second = spill.read(0, 1)
    content = bytearray(spill.path.read_bytes())
    content[second + 20] ^= 1
    spill.path.write_bytes(content)
    entries, position = spill.read(0, 10)
    assert [entry.id for entry in entries] == ["a"]
    assert position == second < spill.size
    assert spill.set_aside().read_bytes() == bytes(content)


def test_a_full_one_takes_all_of_a_batch_or_nothing(tmp_path):
    spill = Spill(tmp_path / "w.spill", limit=1000)
    spill.append([record("a")])
    size = spill.size
    with pytest.raises(SpillFull):
        spill.append([record("b"), record("c", error="x" * 1000)])
    assert (spill.size, [entry.id for entry in everything(spill)]) == (size, ["a"])
    spill.close()


def test_a_write_that_fails_leaves_nothing_half_written(spill, monkeypatch):
    spill.append([record("a")])
    real, calls = os.write, []

    def failing(file, data):
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(file, data[:10])

    monkeypatch.setattr(os, "write", failing)
    with pytest.raises(OSError, match="No space"):
        spill.append([record("b")])
    monkeypatch.undo()
    spill.append([record("c")])
    assert [entry.id for entry in everything(spill)] == ["a", "c"]


def test_the_file_is_for_nobody_else(spill):
    assert spill.path.stat().st_mode & 0o777 == 0o600


def test_an_empty_one_goes_and_a_full_one_stays(tmp_path):
    empty, full = of_worker(tmp_path, "empty"), of_worker(tmp_path, "full")
    full.append([record("a")])
    empty.close()
    full.close()
    assert [path.name for path in tmp_path.iterdir()] == ["full.spill"]


def test_only_the_files_of_the_dead_are_taken(tmp_path, spill):
    code = "import sys, time; from gateway.storage.spill import of_worker; from pathlib import Path; "
    code += "s = of_worker(Path(sys.argv[1]), 'w2'); from tests.storage.entries import record; "
    code += "s.append([record('a')]); print('ready', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        assert list(orphans(tmp_path)) == []
        process.kill()
        process.wait()
        [orphan] = orphans(tmp_path)
        assert (orphan.worker, [entry.id for entry in everything(orphan)]) == ("w2", ["a"])
        assert list(orphans(tmp_path)) == []
        orphan.clear()
        orphan.close()
    assert [path.name for path in tmp_path.iterdir()] == ["w1.spill"]


@pytest.mark.parametrize("odd", [{"client": "caf\udce9"}, {"input_tokens": 2**70}, {"notes": {"\ud800": 1}}])
def test_what_can_not_be_written_as_it_is_is_mended(spill, odd):
    spill.append([record("a", **odd), record("b")])
    assert [entry.id for entry in everything(spill)] == ["a", "b"]


def test_a_file_that_can_not_be_forced_to_the_disk_holds_nothing_of_it(spill, monkeypatch):
    spill.append([record("a")])
    size = spill.size

    def full(_file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gateway.storage.spill._SYNC", -1)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        spill.append([record("b")])
    monkeypatch.undo()
    assert (spill.size, spill.path.stat().st_size) == (size, size)
    assert [entry.id for entry in everything(spill)] == ["a"]


def test_large_entries_are_read_a_few_at_a_time(spill, monkeypatch):
    monkeypatch.setattr(spill_module, "_MUCH", 5000)
    entries = [record(request=Body(b"x" * 2000)) for _ in range(10)]
    spill.append(entries)
    read, sizes, position = [], [], 0
    while position < spill.size:
        found, position = spill.read(position, 500)
        sizes.append(len(found))
        read += found
    assert read == entries
    assert sizes == [3, 3, 3, 1]
