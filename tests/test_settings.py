"""Settings from the command line, the environment and the file, and what is said of a wrong one."""

import pytest

from gateway.settings import (
    ProviderSettings,
    Settings,
    SettingsError,
    is_loopback,
    key_references,
    keys,
    load,
    provider_overrides,
    read_secret,
    unknown_variables,
)


def kind_of(key):
    section, _, last = key.rpartition(".")
    table = Settings()
    value = getattr(getattr(table, section) if section else table, last)
    return type(value)


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
        ("auth = 'opn'", r":1: auth: 'opn' is none of passthrough, required, open; did you mean 'open'\?"),
        ("auth = 3", r":1: auth: 3 is none of passthrough"),
        ("log.level = 'trace'", r":1: log\.level: 'trace' is none of debug, info, warning, error"),
        (
            "[providers.openai]\nstream_usage = 'asks'",
            r":2: providers\.openai\.stream_usage: 'asks' is none of ask, always, never; did you mean 'ask'\?",
        ),
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
        ("record.retention = '3 fortnights'", r":1: record\.retention: a span is a number of seconds"),
        ("workers = 0", ":1: workers: it is a number above 0"),
        ("database_url = 'mysql://x'", ":1: database_url: a database URL is"),
        ("counters_url = 'file:x'", ":1: counters_url: counters are"),
        ("default_agent = 'a b'", ":1: default_agent: an agent's slug"),
        ("_places = {}", ":1: unknown key '_places'"),
        ("\ntimeouts = 3", ":2: timeouts: Expected table, got int"),
        ("providers = 3", ":1: providers: Expected table, got int"),
        ("[providers]\nopenai = 3", r":2: providers\.openai: Expected table, got int"),
        ("host = { a = 1 }", ":1: host: Expected str, got table"),
        ("allowed_hosts = { a = 1 }", ":1: allowed_hosts: Expected array, got table"),
        ("admin_token = 'a'\nport = 70000", ":2: port: a port is a number from 0 to 65535"),
        ("console_port = -1", ":1: console_port: a port is a number from 0 to 65535"),
        ("\nauth = 'open'\nhost = '0.0.0.0'", r":2: auth = \"open\" lends .* not host = '0\.0\.0\.0'"),
        ("console_host = '0.0.0.0'", r":1: console_host = .* set GATEWAY_ADMIN_TOKEN"),
        (
            "[providers.'a.b']\nlike = 'openai'\ntimeouts.gap = 'abc'",
            r":3: providers\.a\.b\.timeouts\.gap: Expected float, got str",
        ),
        ("[providers]\nopenai = { timeouts = { gap = -1 } }", r":2: providers\.openai\.timeouts\.gap: a dur"),
        (
            "[providers.openai]\n[providers.openai.timeouts]\ngap = nan",
            r":3: providers\.openai\.timeouts\.gap: ",
        ),
        (
            '[providers.openai]\nkey_page = """\nbase_url = 1\n"""\nlike = 3',
            r":5: providers\.openai\.like: Expected str, got int",
        ),
    ],
)
def test_a_wrong_file_says_where_and_what_was_meant(elsewhere, text, said):
    with pytest.raises(SettingsError, match=said):
        load(written(elsewhere, text), {})


@pytest.mark.parametrize(("text", "seconds"), [("5", 5), ("'30 d'", 30 * 86400), ("'1.5h'", 5400), ("0", 0)])
def test_spans_of_time_have_units(elsewhere, text, seconds):
    assert load(written(elsewhere, f"record.retention = {text}"), {}).record.retention == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("12", 12), ("'32 MiB'", 32 << 20), ("'1.5kb'", 1500), ("'2 GiB'", 2 << 30)]
)
def test_sizes_have_units(elsewhere, text, size):
    assert load(written(elsewhere, f"body_limit = {text}"), {}).body_limit == size


def test_lists_in_the_environment_are_separated_by_commas():
    assert load(environment={"GATEWAY_ALLOWED_HOSTS": "a.example, b.example:9000"}).allowed_hosts == (
        "a.example",
        "b.example:9000",
    )
    assert load(environment={"GATEWAY_ALLOWED_HOSTS": ""}).allowed_hosts == ()


LISTS = [key for key in keys() if isinstance(kind_of(key)(), tuple)]


@pytest.mark.parametrize("key", LISTS)
def test_lists_in_the_environment_may_be_json(key):
    name = f"GATEWAY_{key.upper().replace('.', '_')}"

    def read(value):
        section, _, last = key.rpartition(".")
        settings = load(environment={name: value})
        return getattr(getattr(settings, section) if section else settings, last)

    assert read('["$.a", "b,c"]') == ("$.a", "b,c")
    assert read(" [ ] ") == ()
    assert read("$.a, $.b") == ("$.a", "$.b")
    assert read("[a-c]{3}, [::1]:9000") == ("[a-c]{3}", "[::1]:9000")  # no JSON, though it begins like it
    for broken in ('["$.a", 5]', '["$.a"', "['a']\"]", '[ "a", ]'):
        if broken.replace(" ", "").startswith('["'):
            with pytest.raises(SettingsError, match=f"^{name}: .* JSON list of texts"):
                read(broken)


def test_every_list_is_among_them():
    assert LISTS == ["console_hosts", "allowed_hosts", "record.redact"]


@pytest.mark.parametrize("value", [r"\d{2,4}", "$.a, (a,b)", "[a,b]"])
def test_a_pattern_that_a_comma_would_cut_is_a_mistake(value):
    with pytest.raises(SettingsError, match=r"^GATEWAY_RECORD_REDACT: .* write a JSON list"):
        load(environment={"GATEWAY_RECORD_REDACT": value})


@pytest.mark.parametrize("rule", ["(", "$.a[", "[z-a]"])
def test_a_rule_that_means_nothing_is_a_mistake_of_its_place(elsewhere, rule):
    with pytest.raises(SettingsError, match=r"^GATEWAY_RECORD_REDACT: record.redact\[0\]: .* is not a"):
        load(environment={"GATEWAY_RECORD_REDACT": f'["{rule}"]'})
    with pytest.raises(SettingsError, match=r":2: record.redact\[0\]: .* is not a"):
        load(written(elsewhere, f'[record]\nredact = ["{rule}"]'), {})


def test_the_port_that_an_orchestrator_injects_is_ignored():
    assert load(environment={"GATEWAY_PORT": "tcp://10.0.0.1:9000"}).port == 9000


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"GATEWAY_AUTH": "open", "GATEWAY_HOST": "0.0.0.0"}, "loopback bind only"),
        ({"GATEWAY_CONSOLE_HOST": "0.0.0.0"}, "set GATEWAY_ADMIN_TOKEN"),
        ({"GATEWAY_PORT": "70000"}, "^GATEWAY_PORT: port: a port is a number from 0 to 65535$"),
        ({"GATEWAY_PORT": "abc"}, "^GATEWAY_PORT: port: Expected int, got str$"),
        ({"GATEWAY_TIMEOUTS_GAP": "x"}, r"^GATEWAY_TIMEOUTS_GAP: timeouts\.gap: Expected float, got str$"),
        ({"GATEWAY_AUTH": "opn"}, "^GATEWAY_AUTH: auth: 'opn' is none of .* did you mean 'open'"),
        ({"GATEWAY_AUTH": "open", "GATEWAY_HOST": "::"}, "^GATEWAY_AUTH: auth = "),
        ({"GATEWAY_ADMIN_TOKEN_FILE": "/nowhere"}, "^GATEWAY_ADMIN_TOKEN_FILE: the secret file /nowhere"),
    ],
)
def test_what_can_not_be_is_refused(environment, said):
    with pytest.raises(SettingsError, match=said):
        load(environment=environment)


def test_an_option_of_the_command_line_is_named():
    with pytest.raises(SettingsError, match=r"^--console-port: console_port: a port is"):
        load(environment={"GATEWAY_CONSOLE_PORT": "1"}, arguments={"console_port": 70000})


def test_a_mistake_in_the_file_is_one_though_the_environment_overrides_it(elsewhere):
    with pytest.raises(SettingsError, match=":1: port"):
        load(written(elsewhere, "port = 70000"), {"GATEWAY_PORT": "1"})


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "-inf"])
@pytest.mark.parametrize("key", ["timeouts.gap", "drain.finish", "keepalive", "client_stall", "body_limit"])
def test_durations_and_limits_are_finite_and_not_negative(elsewhere, key, value):
    with pytest.raises(SettingsError, match=rf":1: {key}: a (duration|size) is "):
        load(written(elsewhere, f"{key} = {value}"), {})
    variable = f"GATEWAY_{key.upper().replace('.', '_')}"
    with pytest.raises(SettingsError, match=rf"^{variable}: {key}: a (duration|size) is "):
        load(environment={variable: value}, file=written(elsewhere, f"{key} = 0"))


@pytest.mark.parametrize("key", [key for key in keys() if key.startswith(("timeouts.", "drain."))])
def test_every_duration_is_checked(key):
    with pytest.raises(SettingsError, match="a duration is"):
        load(environment={f"GATEWAY_{key.upper().replace('.', '_')}": "-1"})


WRONG_URLS = [
    "api.openai.com/v1",
    "ftp://x",
    "file:///etc",
    "https://",
    "http:///v1",
    "http://user@x/v1",
    "http://user:secret@x",
    "http://x?a=b",
    "http://x/v1?",
    "http://x/v1#part",
    "http://x:port",
    "http://x:0",
    "http://x:70000",
    "http://[::1",
    "http://a b/",
    "http://x/a b",
    "http://x/\\u0000",
    " http://x",
]


@pytest.mark.parametrize("url", WRONG_URLS)
def test_a_base_url_that_can_not_be(elsewhere, url):
    with pytest.raises(SettingsError, match=r":2: providers\.openai\.base_url: a base URL is http"):
        load(written(elsewhere, f'[providers.openai]\nbase_url = "{url}"'), {})
    with pytest.raises(SettingsError, match=r"^GATEWAY_OPENAI_BASE_URL: a base URL is http") as refused:
        provider_overrides(Settings(), ["openai"], {"GATEWAY_OPENAI_BASE_URL": url})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/v1",
        "https://api.x.ai",
        "http://[::1]:8000/v1/",
        "HTTPS://Host_1/a%20b/@me:(x)",
        "http://bücher.example/",
    ],
)
def test_a_base_url_that_can_be(elsewhere, url):
    settings = load(written(elsewhere, f'[providers.openai]\nbase_url = "{url}"'), {})
    assert settings.providers["openai"].base_url == url


def test_the_console_can_be_switched_off(elsewhere):
    assert load(environment={}).console
    assert not load(environment={"GATEWAY_CONSOLE": "false"}).console
    assert not load(written(elsewhere, "console = false"), {}).console


def test_a_console_beyond_loopback_has_a_token_which_may_come_from_a_file(elsewhere):
    (elsewhere / "token").write_text("secret\n")
    environment = {"GATEWAY_CONSOLE_HOST": "0.0.0.0", "GATEWAY_ADMIN_TOKEN_FILE": str(elsewhere / "token")}
    assert load(environment=environment).admin_token == "secret"


def test_a_bare_secret_in_the_file_is_an_error(elsewhere):
    for reference in ("sk-1", "env:", "ENV:sk-1"):
        with pytest.raises(SettingsError, match=r":2: .*never the secret itself") as refused:
            load(written(elsewhere, f"[providers.openai]\napi_key = '{reference}'"), {})
        assert "sk-1" not in str(refused.value)


def test_secrets_are_read_from_where_the_reference_points(elsewhere):
    (elsewhere / "key").write_text(" sk-file \n")
    assert read_secret("env:KEY", {"KEY": "sk-env"}) == "sk-env"
    assert read_secret("env:KEY", {}) == ""
    assert read_secret(f"file:{elsewhere}/key", {}) == "sk-file"
    with pytest.raises(SettingsError, match="can't be read"):
        read_secret("file:/nowhere", {})
    with pytest.raises(SettingsError, match="never in the file itself"):
        read_secret("sk-1", {})
    (elsewhere / "key").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match=r"^here: the secret file .* isn't text"):
        read_secret(f"file:{elsewhere}/key", {}, "here: ")


def test_every_provider_has_its_variables(elsewhere):
    environment = {
        "GATEWAY_MY_MODEL_BASE_URL": "http://x",
        "GATEWAY_MY_MODEL_API_KEY": "k",
        "GATEWAY_OTHER_API_KEY_FILE": "/k",
    }
    settings = load(written(elsewhere, "[providers.my-model]\napi_key = 'env:MINE'"), {})
    changed = provider_overrides(settings, ["my-model", "other"], environment)
    assert {name: own.base_url for name, own in changed.items()} == {"my-model": "http://x"}
    assert list(key_references("my-model", settings, environment)) == [
        ("GATEWAY_MY_MODEL_API_KEY: ", "env:GATEWAY_MY_MODEL_API_KEY"),
        (f"{elsewhere}/gateway.toml:2: ", "env:MINE"),
    ]
    assert list(key_references("other", settings, environment)) == [
        ("GATEWAY_OTHER_API_KEY_FILE: ", "file:/k")
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "\n[providers.opnai]\nbase_url = 'http://x'",
            r":2: unknown provider 'opnai'; a new one says .* like = \"openai\" .*; did you mean 'openai'\?$",
        ),
        (
            "[providers.mine]\nbase_url = 'http://x'\nlike = 'opnai'",
            r":3: provider 'mine' is like 'opnai', which is none of groq, openai; did you mean 'openai'\?",
        ),
        ("providers.mine.like = 'openai'", r":1: provider 'mine' needs a base_url"),
        ("[providers.mine]\nlike = 'mine'", r":2: provider 'mine' is like 'mine', which is none of"),
    ],
)
def test_a_provider_that_can_not_be(elsewhere, text, said):
    with pytest.raises(SettingsError, match=said):
        provider_overrides(load(written(elsewhere, text), {}), ["openai", "groq"], {})


def test_a_new_row_may_be_like_an_earlier_one_and_be_placed_by_the_environment(elsewhere):
    text = "[providers.one]\nlike = 'openai'\n[providers.two]\nlike = 'one'\nbase_url = 'http://two'"
    settings = load(written(elsewhere, text), {})
    changed = provider_overrides(settings, ["openai"], {"GATEWAY_ONE_BASE_URL": "http://one"})
    assert [(name, own.like, own.base_url) for name, own in changed.items()] == [
        ("one", "openai", "http://one"),
        ("two", "one", "http://two"),
    ]


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
    assert "console" in found
    assert "default_policies.call" in found
    assert not {"providers", "_places", "agents", "tool_dispatchers", "default_policies"} & set(found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "localhost", "::1", "[::1]"])
def test_loopback_names(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "127.0.0.1.example", "::", "localhost.example", ""])
def test_names_that_only_look_like_loopback(host):
    assert not is_loopback(host)
