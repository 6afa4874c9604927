"""The gateway as a real process: started with a chosen environment, its log parsed, its resources sampled."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import psutil

from tests.harness import canaries, scrape
from tests.harness.ending import Ended

ROOT = Path(__file__).parents[2]
START_DEADLINE = 30.0
SETTLE_DEADLINE = 2.0


@dataclass(frozen=True)
class Sample:
    """What the process holds at one moment."""

    fds: int
    threads: int
    rss: int


@dataclass
class Output:
    """What the process has printed so far, line by line, and the JSON among it."""

    lines: list[str] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def read(self, stream: Any) -> None:
        for raw in stream:
            line = raw.decode(errors="replace").rstrip("\n")
            with self.changed:
                self.lines.append(line)
                if line.startswith("{"):
                    try:
                        self.records.append(orjson.loads(line))
                    except orjson.JSONDecodeError:
                        self.lines.append(f"a log line that is no JSON: {line}")
                self.changed.notify_all()

    def wait(
        self, wanted: Callable[[dict[str, Any]], bool], timeout: float, start: int = 0
    ) -> dict[str, Any] | None:
        end = time.monotonic() + timeout
        with self.changed:
            while True:
                for record in self.records[start:]:
                    if wanted(record):
                        return record
                left = end - time.monotonic()
                if left <= 0 or not self.changed.wait(left):
                    return None


def scheduler_wait(pid: int) -> float:
    """Seconds that the process's main thread was ready to run and did not get a core; 0 where unknown."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


class Gateway:
    """One running gateway."""

    def __init__(
        self, env: Mapping[str, str], module: str = "gateway", arguments: Sequence[str] = ("serve",)
    ) -> None:
        self.output = Output()
        self.env = env
        self.console_token = env.get("GATEWAY_ADMIN_TOKEN", "")
        self.tolerated: list[str] = []  # complaints that the test itself provokes
        self.secrets: set[str] = set()  # which it is given, beside those of its environment
        self._signalled = False
        self.state = tempfile.TemporaryDirectory(prefix="gateway-test-")
        self._own_state = not {"GATEWAY_STATE_DIR", "GATEWAY_DATABASE_URL"} & env.keys()
        clean = {key: value for key, value in os.environ.items() if not _leaks(key)}
        settings = {
            "GATEWAY_PORT": "0",
            "GATEWAY_CONSOLE_PORT": "0",
            "GATEWAY_STATE_DIR": self.state.name,
            "GATEWAY_LOG_FORMAT": "json",
            "PYTHONUNBUFFERED": "1",
            # What asyncio says of lost tasks and unclosed things is part of what is checked.
            "PYTHONWARNINGS": "default::ResourceWarning,default::RuntimeWarning",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env={**clean, **settings, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._readers = [
            threading.Thread(target=self.output.read, args=(stream,), daemon=True)
            for stream in (self.process.stdout, self.process.stderr)
        ]
        for reader in self._readers:
            reader.start()
        self.port = 0
        self.console_port = 0

    def wait_ready(self) -> "Gateway":
        """Wait for the line that says where it listens."""
        listening = self.output.wait(lambda record: record.get("event") == "listening", START_DEADLINE)
        if listening is None:
            self.stop()
            raise RuntimeError("the gateway did not start:\n" + "\n".join(self.output.lines[-30:]))
        self.port = urlsplit(listening["proxy"]).port or 0
        self.console_port = urlsplit(listening.get("console") or "").port or 0
        self._psutil = psutil.Process(self.process.pid)
        return self

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def sample(self) -> Sample:
        with self._psutil.oneshot():
            return Sample(self._psutil.num_fds(), self._psutil.num_threads(), self._psutil.memory_info().rss)

    def scheduler_wait(self) -> float:
        return scheduler_wait(self.process.pid)

    def interactions(self, start: int = 0) -> list[dict[str, Any]]:
        with self.output.changed:
            return [r for r in self.output.records[start:] if r.get("event") == "interaction"]

    def signal(self, number: int) -> None:
        self._signalled = True
        self.process.send_signal(number)

    def stop(self, timeout: float = 10.0, *, settled: bool = True) -> int:
        """Ask it to end, insist if it does not, check what is left of it, and return its exit code.

        ``settled``: before that, nothing must be left to do, once its clients have gone.
        """
        settled = settled and self.alive and self.console_port > 0 and not self._signalled
        try:
            metrics = self._settled() if settled else None
        finally:
            self._end(timeout)
        try:
            self._left(metrics).check(clean=self.process.returncode == 0)
        except AssertionError as error:
            told = [line for line in self.output.lines if '"error"' in line and '"interaction"' not in line]
            for line in told[-10:]:
                error.add_note(line[:2000])
            raise
        finally:
            self.state.cleanup()
        return self.process.returncode

    def _end(self, timeout: float) -> None:
        if self.alive:
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for reader in self._readers:
            reader.join(5)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def _settled(self) -> str:
        """I5: nothing stays in flight, and no connection that its peer has left stays open. Return the metrics."""
        metrics = scrape.read_settled(self.console_port, self.console_token)
        end = time.monotonic() + SETTLE_DEADLINE
        while left := [c for c in self._psutil.net_connections("tcp") if c.status == psutil.CONN_CLOSE_WAIT]:
            assert time.monotonic() < end, f"I5: connections stay half open: {left}"
            time.sleep(0.02)
        return metrics

    def _left(self, metrics: str | None) -> Ended:
        state = Path(self.env.get("GATEWAY_STATE_DIR", self.state.name))
        secrets = self.secrets | canaries.of_process(self.env, state)
        lines, told = self.output.lines, self.interactions()
        return Ended(lines, told, state, self._own_state, secrets, metrics, self.tolerated)


def _leaks(key: str) -> bool:
    """Whether a variable of the developer's own shell would change how the gateway under test behaves."""
    return key.startswith("GATEWAY_") or key.endswith("_API_KEY") or key.lower().endswith("_proxy")
