"""Whatever an operator gets wrong in a place for a secret: commands say what is wrong, and not the secret."""

import asyncio

import pytest

from gateway.secrets import new_virtual_key
from tests.harness.canaries import check, made
from tests.harness.command import run

MISTAKES = {
    "a short master key": ("GATEWAY_SECRET_KEY", "{}"),
    "a port that is none": ("GATEWAY_DATABASE_URL", "postgresql+asyncpg://me:{}@127.0.0.1:5x/x"),
    "an option for a password": ("GATEWAY_DATABASE_URL", "postgresql+asyncpg://me@127.0.0.1:1/x?password={}"),
    "another database": ("GATEWAY_DATABASE_URL", "mysql://me:{}@127.0.0.1/x"),
    "nobody there": ("GATEWAY_DATABASE_URL", "postgresql+asyncpg://me:{}@127.0.0.1:1/x"),
    "a user in a base URL": ("GATEWAY_OPENAI_BASE_URL", "https://me:{}@127.0.0.1/v1"),
    "a key in a base URL": ("GATEWAY_OPENAI_BASE_URL", "https://127.0.0.1/v1?key={}"),
    "counters": ("GATEWAY_COUNTERS_URL", "http://me:{}@127.0.0.1"),
}
"""What operators get wrong in the environment."""
WRITTEN = (
    'api_key = "{}"', 'secret_key = "{}"', 'admin_token = ["{}"]', 'admin_token = "{}', 'database_url = "{}"',
    '[providers.openai]\napi_key = "{}"', '[providers.openai]\nbase_url = "https://me:{}@x/"',
    '[[virtual_keys]]\nname = "x"\nhash = "{}"', '[[virtual_keys]]\nname = "x"\nkey = "{}"', "{}",
)  # fmt: skip
"""What they get wrong in the file."""


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("command", ["check", "serve", "doctor", "keys list"])
async def test_the_words_about_a_mistake(tmp_path, mistake, command):
    variable, value = MISTAKES[mistake]
    secret = made("mistake", end="")
    done = await asyncio.to_thread(run, *command.split(), cwd=tmp_path, **{variable: value.format(secret)})
    said = done.stdout + done.stderr
    assert secret not in said
    assert "Traceback" not in said
    # What only opening the database shows, the one that opens none can't see.
    assert done.returncode in (1, 78) or (command == "check" and "postgresql" in value), said


async def test_a_variable_that_means_nothing_is_named_and_not_shown(tmp_path):
    secret = made("misspelt")
    done = await asyncio.to_thread(run, "check", cwd=tmp_path, GATEWAY_OPENAI_APIKEY=secret)
    assert "GATEWAY_OPENAI_APIKEY" in done.stderr
    check({"the words": (done.stdout + done.stderr).encode()}, [secret])


@pytest.mark.parametrize("line", WRITTEN)
async def test_the_words_about_a_mistake_in_the_file(tmp_path, line):
    for secret in (made("written", end=""), new_virtual_key()):
        (tmp_path / "gateway.toml").write_text(line.format(secret) + "\n")
        done = await asyncio.to_thread(run, "check", cwd=tmp_path)
        assert done.returncode == 78, done.stdout
        assert secret not in done.stdout + done.stderr
        assert "gateway.toml" in done.stderr
