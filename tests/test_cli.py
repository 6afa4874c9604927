"""The command line: what it says, and with which exit code it ends."""

import re

import pytest

from tests.harness.command import ROOT, run


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


def test_a_key_is_made_and_its_hash_can_be_declared(tmp_path):
    done = run("keys", "hash", cwd=tmp_path, GATEWAY_STATE_DIR=str(tmp_path))
    assert done.returncode == 0
    key = re.search(r"shown this once: (gw_\S{43})\n", done.stderr)[1]
    assert key not in done.stdout
    (tmp_path / "gateway.toml").write_text(done.stdout.replace('name = ""', 'name = "ci"'))
    assert run("check", cwd=tmp_path).returncode == 0
    again = run("keys", "hash", "--stdin", cwd=tmp_path, stdin=key + "\n", GATEWAY_STATE_DIR=str(tmp_path))
    assert again.stdout == done.stdout
    assert key not in again.stderr


@pytest.mark.parametrize("key", ["", "sk-1", "gw_short", "gw_" + "x" * 42 + " "])
def test_no_key_of_little_chance_is_taken(tmp_path, key):
    done = run("keys", "hash", "--stdin", cwd=tmp_path, stdin=key, GATEWAY_STATE_DIR=str(tmp_path))
    assert done.returncode == 78
    assert done.stdout == ""
    assert not key or key not in done.stderr


def test_check_warns_of_what_nothing_enforces_and_of_nothing_else(tmp_path):
    policy = "[[trusted_data_policies]]\ntool = 'x'\naction = 'block_always'\n"
    (tmp_path / "gateway.toml").write_text("[[limits]]\nkind = 'cost'\namount = 5\n" + policy)
    done = run("check", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ("warning: gateway.toml:1: limits: 1 kept, but NOT enforced by this version\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[providers.mine]\nlike = "nobody"\nbase_url = "http://x"', ":2: provider 'mine' is like 'nobody'"),
        ('[providers.mine]\nlike = "openai"', ":1: provider 'mine' needs a base_url"),
        ('[providers.opnai]\nbase_url = "http://x"', ":1: unknown provider 'opnai'; a new one says"),
    ],
)
def test_a_row_that_can_not_be(tmp_path, text, said):
    (tmp_path / "gateway.toml").write_text(text)
    done = run("check", cwd=tmp_path)
    assert done.returncode == 78
    assert said in done.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["--port", "70000"], {}, "--port: port: a port is a number from 0 to 65535"),
        ([], {"GATEWAY_PORT": "abc"}, "GATEWAY_PORT: port: Expected int, got str"),
        ([], {"GATEWAY_GROQ_BASE_URL": "groq"}, "GATEWAY_GROQ_BASE_URL: a base URL is http"),
        ([], {"GATEWAY_GROQ_API_KEY_FILE": "/no"}, "GATEWAY_GROQ_API_KEY_FILE: the secret file /no can't be"),
    ],
)
def test_a_wrong_option_or_variable_is_named(tmp_path, arguments, environment, said):
    done = run("check", *arguments, cwd=tmp_path, **environment)
    assert done.returncode == 78
    assert done.stderr.startswith(f"llm-gateway: {said}")


def test_a_key_that_is_not_there_is_a_warning(tmp_path):
    (tmp_path / "gateway.toml").write_text('[providers.openai]\napi_key = "env:UNSET"\n')
    said = "gateway.toml:2: the key of provider 'openai' is not there: env:UNSET is empty or unset"
    done = run("check", cwd=tmp_path)
    assert done.returncode == 0
    assert said in done.stdout + done.stderr
    done = run("check", cwd=tmp_path, UNSET="sk-canary-2")
    assert "1 with a key" in done.stdout
    assert "the key of provider" not in done.stdout + done.stderr


def test_a_plugin_that_can_not_be_imported_is_named(tmp_path):
    about = tmp_path / "acme_gateway-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-gateway\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[gateway.providers]\nacme = acme_gateway.formats\n")
    for command in ("check", "serve"):
        done = run(command, cwd=tmp_path, PYTHONPATH=f"{ROOT}:{tmp_path}")
        assert done.returncode == 78
        assert done.stderr == (
            "llm-gateway: the plugin 'acme' (acme_gateway.formats, of the package acme-gateway) can't be loaded: "
            "ModuleNotFoundError: No module named 'acme_gateway'\n"
        )


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
