"""The command line as a user has it: a process of its own, in a folder and an environment that hold nothing else."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def started(*arguments, cwd, stdout=subprocess.PIPE, **environment) -> "subprocess.Popen[str]":
    """Start a command; what it keeps is below ``cwd``, which is its home."""
    return subprocess.Popen(
        [sys.executable, "-m", "gateway", *arguments],
        cwd=cwd,
        env={"PATH": "/usr/bin", "PYTHONPATH": str(ROOT), "HOME": str(cwd)} | environment,
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments, cwd, stdin="", **environment) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    process = started(*arguments, cwd=cwd, **environment)
    try:
        out, err = process.communicate(stdin, timeout=60)
    finally:
        process.kill()
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)
