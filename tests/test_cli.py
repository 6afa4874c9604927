"""The command line: what it says, and with which exit code it ends."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*arguments, cwd, **environment):
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        cwd=cwd,
        env={"PATH": "/usr/bin", "PYTHONPATH": str(ROOT), "HOME": str(cwd), **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_check_of_nothing_is_fine(tmp_path):
    done = run("check", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("The configuration is valid: ")


def test_check_says_where_and_what_was_meant(tmp_path):
    (tmp_path / "gateway.toml").write_text("\nprot = 1\n")
    done = run("check", cwd=tmp_path)
    assert done.returncode == 78
    assert done.stderr == "llm-gateway: gateway.toml:2: unknown key 'prot'; did you mean 'port'?\n"


def test_check_counts_keys_and_warns_of_unknown_variables(tmp_path):
    done = run("check", cwd=tmp_path, OPENAI_API_KEY="sk-canary-1", GATEWAY_PROT="1")
    assert "1 with a key" in done.stdout
    assert "warning: unknown variable GATEWAY_PROT; did you mean 'GATEWAY_PORT'?" in done.stderr
    assert "sk-canary-1" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[providers.mine]\nlike = "nobody"\nbase_url = "http://x"', "provider 'mine' is like 'nobody'"),
        ('[providers.mine]\nlike = "openai"', "provider 'mine' needs a base_url"),
        ('[providers.mine]\nbase_url = "http://x"', "provider 'mine' is like 'mine'"),
    ],
)
def test_a_row_that_can_not_be(tmp_path, text, said):
    (tmp_path / "gateway.toml").write_text(text)
    done = run("check", cwd=tmp_path)
    assert done.returncode == 78
    assert said in done.stderr


def test_a_port_that_is_taken(tmp_path):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run("serve", "--port", port, "--console-port", "0", cwd=tmp_path, GATEWAY_LOG_FORMAT="json")
    assert done.returncode == 78
    assert f"can't listen on 127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr


def test_no_command_shows_the_usage(tmp_path):
    done = run(cwd=tmp_path)
    assert done.returncode == 2
    assert "serve" in done.stderr
    assert "demo" in done.stderr
