"""The processes of a run: each pinned to a core, timed to its first answer, and ended with the run."""

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench import load

ROOT = Path(__file__).parent.parent
PATIENCE = 15.0  # seconds for a process to answer
REFUSED_TOOLS = "bench_refused"  # the answers carry no call: every one is gated, none is refused


@dataclass
class Process:
    """A server on a port of its own, alone on its core or not."""

    name: str
    port: int
    pid: int
    start: float  # seconds from the start of the process to its first answer

    def cpu(self) -> float:
        """Seconds of CPU so far, user and system, of all threads, to the nanosecond (clock_getcpuclockid(3))."""
        return time.clock_gettime((~self.pid << 3) | 2)

    def resident(self) -> float:
        """Megabytes of memory; an error if the work is done in another process."""
        process = psutil.Process(self.pid)
        if process.children():
            raise RuntimeError(f"{self.name} has children, so its CPU and memory are not the whole of it")
        return process.memory_info().rss / 1e6


def free_port() -> int:
    """A port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cores() -> tuple[int, int]:
    """The core of the measured process, and the one of everything else."""
    available = sorted(os.sched_getaffinity(0))
    return available[0], available[-1]


def answers(port: int) -> bool:
    """Whether a request is answered with 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            connection.sendall(load.request(port))
            return connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


@contextlib.contextmanager
def running(name: str, arguments: Sequence[str], port: int, core: int, **variables: str) -> Iterator[Process]:
    """A Python process that has answered its first request; killed at the end."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GATEWAY_")}
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        (Path(folder) / "stderr").open("w+") as errors,
    ):
        started = time.perf_counter()
        process = subprocess.Popen(
            (sys.executable, *arguments),
            cwd=ROOT,
            env={**environment, "GATEWAY_STATE_DIR": folder, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        try:
            os.sched_setaffinity(process.pid, {core})
            while not answers(port):
                if process.poll() is not None or time.perf_counter() - started > PATIENCE:
                    errors.seek(0)
                    raise RuntimeError(f"{name} does not answer:\n{errors.read()[-2000:]}")
                time.sleep(0.005)
            yield Process(name, port, process.pid, time.perf_counter() - started)
        finally:
            process.kill()
            process.wait()


def upstream(core: int) -> contextlib.AbstractContextManager[Process]:
    """The mock provider."""
    port = free_port()
    return running("upstream", ("-m", "bench.upstream", "--port", str(port)), port, core)


def hop(name: str, core: int, upstream_port: int) -> contextlib.AbstractContextManager[Process]:
    """The bare aiohttp hop."""
    port = free_port()
    arguments = ("-m", "bench.hop", "--port", str(port), "--upstream", f"http://127.0.0.1:{upstream_port}")
    return running(name, arguments, port, core)


def gateway(
    name: str, core: int, upstream_port: int, module: str, **variables: str
) -> contextlib.AbstractContextManager[Process]:
    """The gateway: its own command line, or one with stages of the tests or the bench."""
    if importlib.util.find_spec(module) is None:
        raise RuntimeError(f"{name}: there is no module {module}")
    port = free_port()
    return running(
        name,
        ("-m", module, "serve", "--port", str(port), "--console-port", str(free_port())),
        port,
        core,
        **{
            "GATEWAY_OPENAI_BASE_URL": f"http://127.0.0.1:{upstream_port}/v1",
            "GATEWAY_LOG_FORMAT": "json",
            "GATEWAY_RECORD_BODIES": str(module != "bench.path").lower(),
            "TEST_REFUSED_TOOLS": REFUSED_TOOLS,
            **variables,
        },
    )
