"""Settings from the command line, the environment and the file, and what is said of a wrong one."""

import pytest

from gateway.settings import (
    ProviderSettings,
    Settings,
    SettingsError,
    is_loopback,
    keys,
    load,
    provider_variables,
    read_secret,
    unknown_variables,
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(tmp_path, text):
    file = tmp_path / "gateway.toml"
    file.write_text(text)
    return str(file)


def test_nothing_needs_to_be_set(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    settings = load(environment={})
    assert (settings.host, settings.port, settings.console_port) == ("127.0.0.1", 9000, 9001)
    assert settings.auth == "passthrough"
    assert settings.body_limit == 32 << 20
    assert settings.opaque_body_limit == 512 << 20
    assert settings.timeouts.first_byte is None
    assert settings.state_dir == "/state/llm-gateway"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert load(environment={}).state_dir.endswith("/.local/state/llm-gateway")


def test_the_command_line_beats_the_environment_beats_the_file(elsewhere):
    file = written(elsewhere, 'port = 1\nconsole_port = 2\nhost = "127.0.0.2"\n[timeouts]\ngap = 7\n')
    environment = {"GATEWAY_PORT": "3", "GATEWAY_CONSOLE_PORT": "4", "GATEWAY_TIMEOUTS_FIRST_BYTE": "1.5"}
    settings = load(file, environment, {"port": 5, "host": None})
    assert (settings.port, settings.console_port, settings.host) == (5, 4, "127.0.0.2")
    assert (settings.timeouts.gap, settings.timeouts.first_byte) == (7.0, 1.5)


def test_the_file_is_found_by_name_or_by_variable(elsewhere):
    written(elsewhere, "port = 8\n")
    assert load(environment={}).port == 8
    other = elsewhere / "other.toml"
    other.write_text("port = 9\n")
    assert load(environment={"GATEWAY_CONFIG": str(other)}).port == 9
    with pytest.raises(SettingsError, match=r"missing\.toml: can't be read"):
        load("missing.toml", {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", r"gateway\.toml:1: unknown key 'prot'; did you mean 'port'\?"),
        (
            "\n[timeouts]\nfirst_bite = 1",
            r":3: unknown key 'timeouts\.first_bite'; did you mean 'first_byte'\?",
        ),
        ('port = "many"', r":1: port: Expected `?int`?, got `?str`?"),
        ("auth = 'none'", r":1: auth: Invalid enum value"),
        (
            "[providers.openai]\nbase_uri = 'x'",
            r":2: unknown key 'providers\.openai\.base_uri'; did you mean 'base_url'",
        ),
        (
            "[providers.openai]\ntimeouts.gab = 1",
            r":2: unknown key 'providers\.openai\.timeouts\.gab'; did you mean 'gap'",
        ),
        ("port = ", r"not valid TOML: Invalid value"),
        ("body_limit = 'big'", ":1: body_limit: a size is a number of bytes, or text like '32 MiB'"),
        ("body_limit = '3 parsec'", "a size is a number of bytes"),
        ("[[agents]]\nslug = 'a'", ":1: unknown key 'agents'"),
    ],
)
def test_a_wrong_file_says_where_and_what_was_meant(elsewhere, text, said):
    with pytest.raises(SettingsError, match=said):
        load(written(elsewhere, text), {})


@pytest.mark.parametrize(
    ("text", "size"), [("12", 12), ("'32 MiB'", 32 << 20), ("'1.5kb'", 1500), ("'2 GiB'", 2 << 30)]
)
def test_sizes_have_units(elsewhere, text, size):
    assert load(written(elsewhere, f"body_limit = {text}"), {}).body_limit == size


def test_lists_in_the_environment_are_separated_by_commas():
    assert load(environment={"GATEWAY_ALLOWED_HOSTS": "a.example,b.example:9000"}).allowed_hosts == (
        "a.example",
        "b.example:9000",
    )


def test_the_port_that_an_orchestrator_injects_is_ignored():
    assert load(environment={"GATEWAY_PORT": "tcp://10.0.0.1:9000"}).port == 9000


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"GATEWAY_AUTH": "open", "GATEWAY_HOST": "0.0.0.0"}, "loopback bind only"),
        ({"GATEWAY_CONSOLE_HOST": "0.0.0.0"}, "set GATEWAY_ADMIN_TOKEN"),
        ({"GATEWAY_PORT": "70000"}, "from 0 to 65535"),
        ({"GATEWAY_PORT": "x"}, "port: Expected"),
    ],
)
def test_what_can_not_be_is_refused(environment, said):
    with pytest.raises(SettingsError, match=said):
        load(environment=environment)


def test_a_console_beyond_loopback_has_a_token_which_may_come_from_a_file(elsewhere):
    (elsewhere / "token").write_text("secret\n")
    environment = {"GATEWAY_CONSOLE_HOST": "0.0.0.0", "GATEWAY_ADMIN_TOKEN_FILE": str(elsewhere / "token")}
    assert load(environment=environment).admin_token == "secret"


def test_a_bare_secret_in_the_file_is_an_error(elsewhere):
    with pytest.raises(SettingsError, match="never the secret itself"):
        load(written(elsewhere, "[providers.openai]\napi_key = 'sk-1'"), {})


def test_secrets_are_read_from_where_the_reference_points(elsewhere):
    (elsewhere / "key").write_text(" sk-file \n")
    assert read_secret("env:KEY", {"KEY": "sk-env"}) == "sk-env"
    assert read_secret("env:KEY", {}) == ""
    assert read_secret(f"file:{elsewhere}/key", {}) == "sk-file"
    with pytest.raises(SettingsError, match="can't be read"):
        read_secret("file:/nowhere", {})
    with pytest.raises(SettingsError, match="never in the file itself"):
        read_secret("sk-1", {})


def test_every_provider_has_its_variables():
    environment = {
        "GATEWAY_MY_MODEL_BASE_URL": "http://x",
        "GATEWAY_MY_MODEL_API_KEY": "k",
        "GATEWAY_OTHER_API_KEY_FILE": "/k",
    }
    mine = provider_variables("my-model", environment)
    assert (mine.base_url, mine.api_key) == ("http://x", "env:GATEWAY_MY_MODEL_API_KEY")
    assert provider_variables("other", environment).api_key == "file:/k"


def test_an_unknown_variable_is_reported_with_what_was_meant():
    environment = {
        "GATEWAY_PROT": "1",
        "GATEWAY_ACME_BASE_URL": "x",
        "GATEWAY_CONFIG": "f",
        "GATEWAY_PORT": "1",
        "PATH": "/",
    }
    assert dict(unknown_variables(environment, ["acme"])) == {
        "GATEWAY_PROT": "; did you mean 'GATEWAY_PORT'?"
    }


def test_a_row_changes_only_what_it_says():
    overrides = ProviderSettings(like="acme", base_url="http://x", stream_usage="never").overrides()
    assert (overrides.like, overrides.base_url, overrides.stream_usage) == ("acme", "http://x", "never")
    assert overrides.forward_unlisted is None


def test_keys_are_every_single_value():
    found = list(keys())
    assert "timeouts.first_byte" in found
    assert "drain.finish" in found
    assert "providers" not in found
    assert len(found) == len(set(found)) > len(Settings.__struct_fields__)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "localhost", "::1", "[::1]"])
def test_loopback_names(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "127.0.0.1.example", "::", "localhost.example", ""])
def test_names_that_only_look_like_loopback(host):
    assert not is_loopback(host)
