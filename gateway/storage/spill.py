"""An append-only file for records that the database can't take now; a lock on it says that its writer lives.

A frame is four bytes of length and four of CRC-32, both little-endian, then a byte that says what follows in MessagePack.
A frame that is cut or damaged ends the file for whoever reads it: a process that is killed while it writes loses that
frame at most.
"""

import fcntl
import os
import shutil
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic

import msgspec

from gateway.core.record import Record, Started
from gateway.storage.mending import mended_struct

Entry = Started | Record

_HEAD = struct.Struct("<II")
_SYNC = 1.0
"""Seconds between two times that the file is forced to the disk."""
_MUCH = 16 << 20
"""Bytes that are read at once: the entries of one transaction."""
_SUFFIX = ".spill"
_encode = msgspec.msgpack.Encoder().encode
_KINDS: dict[int, msgspec.msgpack.Decoder[Entry]] = {
    kind.__name__.encode()[0]: msgspec.msgpack.Decoder(kind) for kind in (Started, Record)
}


class SpillFull(Exception):
    """The file has reached its limit."""


class Spill:
    """The file of one worker, open and locked for as long as it lives."""

    def __init__(self, path: Path, *, limit: int = 1 << 30) -> None:
        """Open or create it; raises ``BlockingIOError`` while another process has it, ``OSError`` if it can't be."""
        self.path = path
        self._limit = limit
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise
        self.size = os.fstat(self._file).st_size
        """Bytes in it."""
        self.taken = 0
        """Up to where what is in it has been taken by whoever reads it."""
        self._synced = monotonic()

    @property
    def worker(self) -> str:
        """The name of the worker whose file it is."""
        return self.path.name.removesuffix(_SUFFIX)

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries, all of them or none; raises ``OSError`` or ``SpillFull``."""
        frames: list[bytes] = []
        for entry in entries:
            data = type(entry).__name__[:1].encode() + _encoded(entry)
            frames += (_HEAD.pack(len(data), zlib.crc32(data)), data)
        whole = b"".join(frames)
        if self.size + len(whole) > self._limit:
            raise SpillFull(f"{self.path} has reached {self._limit} bytes")
        try:
            left = memoryview(whole)
            while left:
                left = left[os.write(self._file, left) :]
            if (now := monotonic()) - self._synced > _SYNC:
                os.fsync(self._file)
                self._synced = now
        except OSError:
            os.ftruncate(self._file, self.size)
            raise
        self.size += len(whole)

    def read(self, position: int, count: int) -> tuple[list[Entry], int]:
        """Return up to ``count`` entries from a position on, fewer of large ones, and where the next one begins.

        No entries: nothing more can be read; if the position is not the end, the rest is damaged.
        """
        entries: list[Entry] = []
        start = position
        while len(entries) < count and position - start < _MUCH:
            head = os.pread(self._file, _HEAD.size, position)
            if len(head) < _HEAD.size:
                break
            length, checksum = _HEAD.unpack(head)
            if length > self.size - position:
                break
            data = os.pread(self._file, length, position + _HEAD.size)
            if zlib.crc32(data) != checksum or not data:
                break
            entries.append(_KINDS[data[0]].decode(memoryview(data)[1:]))
            position += _HEAD.size + length
        return entries, position

    def set_aside(self) -> Path:
        """Keep a copy of what can't be read, for a person to look at; return where."""
        kept = self.path.with_suffix(".damaged")
        shutil.copyfile(self.path, kept)
        return kept

    def clear(self) -> None:
        """Forget what is in it."""
        os.ftruncate(self._file, 0)
        self.size = self.taken = 0

    def close(self) -> None:
        """Let go of it; an empty one is removed."""
        if not self.size:
            self.path.unlink(missing_ok=True)
        else:
            os.fsync(self._file)
        os.close(self._file)


def _encoded(entry: Entry) -> bytes:
    try:
        return _encode(entry)
    except (UnicodeError, OverflowError):  # half of a surrogate pair, or a number of more than 64 bits
        return _encode(mended_struct(entry))


def orphans(folder: Path) -> Iterator[Spill]:
    """Yield the file of every worker that has died, locked; whoever takes it closes it."""
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            spill = Spill(path)
        except OSError:
            continue
        yield spill


def of_worker(folder: Path, worker: str) -> Spill:
    """Return a new worker's own file."""
    return Spill(folder / f"{worker}{_SUFFIX}")
