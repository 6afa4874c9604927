"""What the file declares: each mistake is said with its own line, and nothing is taken silently."""

import re
from pathlib import Path

import pytest

from gateway.core.entities import KINDS
from gateway.settings import DECLARABLE, Settings, SettingsError, load, provider_overrides, without_effect

README = Path(__file__).parents[1] / "README.md"
HASH = "0f" * 32
POLICIES = "tool_invocation_policies"
EVERYTHING = f"""
[[agents]]
slug = "support"
name = "Support agent"
team = "care"
labels = {{ env = "prod", port = "none", total = "x" }}
context_untrusted = false
toon = true

[[teams]]
slug = "care"

[[users]]
slug = "ci-bot"
team = "care"

[[virtual_keys]]
name = "ci"
hash = "{HASH}"
agent = "support"
user = "ci-bot"
providers = ["openai"]
models = ["gpt-4o*"]
expires = 2027-01-01T00:00:00Z

[[tool_invocation_policies]]
id = "no-etc"
tool = "read_file"
conditions = [{{ key = "file_path", operator = "contains", value = "/etc/" }}]
action = "block_always"
reason = "System files are off limits."
agents = ["support"]
mode = "enforce"

[[trusted_data_policies]]
tool = "web__*"
conditions = []
action = "sanitize_with_dual_llm"

[default_policies]
call = "block_when_context_is_untrusted"
result = "mark_as_untrusted"

[dual_llm]
main_model = "openai/gpt-4o-mini"

[[limits]]
scope = "agent"
scope_id = "support"
kind = "cost"
amount = 25.0
window = "day"
models = ["gpt-4o*"]

[[model_optimization_rules]]
provider = "openai"
conditions = [{{ max_length = 1000 }}, {{ has_tools = false }}]
target_model = "gpt-4o-mini"

[[prices]]
provider = "openai"
model = "my-finetune"
input = 3.0
output = 12
cache_read = 0.3
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(tmp_path, text, environment=None):
    file = tmp_path / "gateway.toml"
    file.write_text(text)
    return load(str(file), environment or {})


def test_everything_that_can_be_declared(elsewhere):
    settings = loaded(elsewhere, EVERYTHING)
    declared = settings.declared
    assert set(declared) == set(DECLARABLE) == set(KINDS) - {"provider_secrets", "console_tokens"}
    assert all(entity.declared and entity.id for rows in declared.values() for entity in rows)
    [agent], [key] = declared["agents"], declared["virtual_keys"]
    assert (agent.id, agent.team, agent.labels["env"], agent.toon) == ("support", "care", "prod", True)
    assert (key.models, key.expires.year, key.revoked) == (("gpt-4o*",), 2027, False)
    [policy] = declared["tool_invocation_policies"]
    assert (policy.id, policy.conditions[0].value) == ("no-etc", "/etc/")
    assert declared["trusted_data_policies"][0].id != ""
    assert declared["model_optimization_rules"][0].conditions[1].has_tools is False
    assert declared["prices"][0].output == 12.0
    assert provider_overrides(settings, ["openai"], {}) == {}


def test_what_the_readme_shows_can_be_written(elsewhere):
    blocks = re.findall(r"```toml\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        settings = loaded(elsewhere, block, {"OPENAI_API_KEY": "k"})
        provider_overrides(settings, ["openai"], {})
        assert list(without_effect(settings)) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[[agents]]\nslug = 'a'\n[[agents]]\nslgu = 'b'",
            r":4: unknown key 'agents\[1\]\.slgu'; did .*'slug'",
        ),
        ("[[agents]]\nslug = 'a'\n[[agents]]\nslug = 3", r":4: agents\[1\]\.slug: Expected str, got int"),
        ("[[agents]]\nslug = 'a'\n\n[[agents]]\nname = 'b'", r":4: agents\[1\]\.slug: it must be there"),
        ("[[agents]]\nslug = 'a/b'", r":2: agents\[0\]\.slug: write letters"),
        (
            "[[agents]]\nslug = 'a'\n[agents.labels]\nx = 1",
            r":4: agents\[0\]\.labels\.x: Expected str, got int",
        ),
        ("[[agents]]\nslug = 'a'\ndeclared = false", r":3: unknown key 'agents\[0\]\.declared'"),
        (
            "[[agents]]\nslug = 'a'\n[[agents]]\nslug = 'a'",
            r":3: agents: 'a' is declared twice, first at .*:1$",
        ),
        (
            "[[agents]]\nslug = 'a'\n[[teams]]\nslug = 'a'\n[[agents]]\nslug = 'b'\nid = 'a'",
            r":5: agents: 'a' is declared twice",
        ),
        ("agents = 3", r":1: agents: Expected array, got int"),
        ("agents = [3]", r":1: agents\[0\]: Expected table, got int"),
        ("agents = [{ slug = 'a' }, { slug = 'a b' }]", r":1: agents\[1\]\.slug: write letters"),
        (
            "[[virtual_keys]]\nname = 'ci'\nhash = 'gw_secret'",
            r":3: virtual_keys\[0\]\.hash: a hash is the 64",
        ),
        ("[[virtual_keys]]\nhash = 'x'", r":1: virtual_keys\[0\]\.name: it must be there"),
        (
            f"[[virtual_keys]]\nname='a'\nhash='{HASH}'\nhint='x'",
            r":4: unknown key 'virtual_keys\[0\]\.hint'",
        ),
        (
            f"[[virtual_keys]]\nname='a'\nhash='{HASH}'\nexpires=2027-01-01T00:00:00",
            r":4: virtual_keys\[0\]\.expires: a time has its offset",
        ),
        (
            "[[limits]]\nkind = 'cots'",
            r":2: limits\[0\]\.kind: 'cots' is none of cost, .* did you mean 'cost'",
        ),
        ("[[limits]]\nkind = 'cost'\nscope = 'team'", r":1: limits\[0\]\.scope_id: say which team it is for"),
        (
            "[[tool_invocation_policies]]\ntool = 'x'\naction = 'block_alwys'",
            r":3: tool_invocation_policies\[0\]\.action: .*did you mean 'block_always'",
        ),
        (
            f"[[{POLICIES}]]\ntool='x'\n\n" + f"[[{POLICIES}.conditions]]\nkey='a'\noperator='eqal'\n" * 2,
            r":6: tool_invocation_policies\[0\]\.conditions\[0\]\.operator: 'eqal' is none of equal",
        ),
        (
            (
                f"[[{POLICIES}]]\ntool='x'\n[[{POLICIES}.conditions]]\nkey='a'\noperator='in'\n"
                f"[[{POLICIES}.conditions]]\nkey=3\noperator='in'"
            ),
            r":7: tool_invocation_policies\[0\]\.conditions\[1\]\.key: Expected str, got int",
        ),
        (
            "[[tool_invocation_policies]]\ntool = 'x'\nconditions = [\n  { key = 'a' },\n]",
            r":3: tool_invocation_policies\[0\]\.conditions\[0\]: the table is missing required field operator",
        ),
        (
            "[[prices]]\nprovider = 'a'\nmodel = 'm'\ninput = -1",
            r":4: prices\[0\]\.input: it is dollars per million tokens, from 0",
        ),
        ("default_policies.call = 'block'", r":1: default_policies\.call: 'block' is none of"),
        (
            (
                f"[[{POLICIES}]]\ntool='x'\naction='block_always'\n"
                f"[[{POLICIES}.conditions]]\nkey='a'\noperator='exists'\nvalue=true\n"
                f"[[{POLICIES}.conditions]]\nkey='b'\noperator='regex'\nvalue='(a'"
            ),
            r":11: tool_invocation_policies\[0\]\.conditions\[1\]\.value: regex can't be compiled: missing \): \(a;",
        ),
        (
            f"[[{POLICIES}]]\ntool='x'\naction='block_always'\n\nconditions=[{{key='context.model', operator='in'}}]",
            r":5: tool_invocation_policies\[0\]\.conditions\[0\]\.value: in takes a list",
        ),
        (
            f"[[{POLICIES}]]\ntool='a[b'\naction='block_always'",
            r":2: .*\.tool: 'a\[b' has a \[ without its \]",
        ),
        (
            "[[model_optimization_rules]]\nprovider='openai'\ntarget_model='m'\nconditions=[{hour=[9, 99]}]",
            r":4: model_optimization_rules\[0\]\.conditions\[0\]\.hour: write two hours",
        ),
        (
            f"[[virtual_keys]]\nname='a'\nhash='{HASH}'\nmodels=['a', 'b[']",
            r":4: virtual_keys\[0\]\.models\[1\]: 'b\[' has a \[",
        ),
        (
            "record.redact = ['$.a', '(b']",
            r":1: record\.redact\[1\]: '\(b' is not a regular expression: missing",
        ),
        ("record.redact = ['$a']", r":1: record\.redact\[0\]: '\$a' is not a path; write"),
        ("dual_llm.main_model = 'gpt-4o'", r":1: dual_llm\.main_model: a model is written with its provider"),
        ("dual_llm.deadline = 0", r":1: dual_llm\.deadline: it is a number of seconds above 0"),
        ("dual_llm.deadline = inf", r":1: dual_llm\.deadline: it is a number of seconds above 0"),
        ("dual_llm.model = 'x'", r":1: unknown key 'dual_llm\.model'"),
        ("dual_llm.max_rounds = 0", r":1: dual_llm\.max_rounds: it is a number above 0"),
        (
            'admin_token = """\n[[agents]]\n"""\n[[agents]]\nslug = 3',
            r":5: agents\[0\]\.slug: Expected str, got int",
        ),
    ],
)
def test_a_mistake_is_said_with_its_line(elsewhere, text, said):
    with pytest.raises(SettingsError, match=said):
        loaded(elsewhere, text)


def test_a_rule_in_a_variable_that_can_not_be():
    with pytest.raises(SettingsError, match=r"^GATEWAY_RECORD_REDACT: record\.redact\[1\]: '\(' is not"):
        load(environment={"GATEWAY_RECORD_REDACT": '["a", "("]'})


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"[[virtual_keys]]\nname = 'a'\nhash = '{HASH}'\nproviders = ['openai', 'opnai']", 4),
        ("[[prices]]\nprovider = 'opnai'\nmodel = 'm'", 2),
        ("[[model_optimization_rules]]\nprovider = 'opnai'\ntarget_model = 'm'", 2),
        ("[providers.openai]\nfallbacks = ['opnai']", 2),
        ("[dual_llm]\nmax_rounds = 3\nquarantined_model = 'opnai/gpt-4o'", 3),
    ],
)
def test_a_provider_that_is_named_exists(elsewhere, text, line):
    with pytest.raises(SettingsError, match=rf":{line}: unknown provider 'opnai'; did you mean 'openai'"):
        provider_overrides(loaded(elsewhere, text), ["openai", "groq"], {})


def test_settings_tell_no_secret():
    settings = Settings(admin_token="canary-1", secret_key="canary-2" * 4, database_url="canary-3")
    assert "canary" not in repr(settings)


KEY = "k" * 32


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
@pytest.mark.parametrize("name", ["GATEWAY_ADMIN_TOKEN", "GATEWAY_SECRET_KEY"])
def test_a_blank_secret_is_refused(elsewhere, name, blank):
    with pytest.raises(SettingsError, match=f"^{name}: it is blank"):
        load(environment={name: blank})
    (elsewhere / "secret").write_text(blank)
    with pytest.raises(SettingsError, match=f"^{name}_FILE: it is blank"):
        load(environment={f"{name}_FILE": str(elsewhere / "secret")})
    key = name.removeprefix("GATEWAY_").lower()
    with pytest.raises(SettingsError, match=rf"gateway\.toml:1: {key}: it is blank"):
        loaded(elsewhere, f"{key} = 'env:UNSET'", {"UNSET": blank})
    with pytest.raises(SettingsError, match=rf"gateway\.toml:1: {key}: "):
        loaded(elsewhere, f'{key} = """{blank}"""')


def test_a_short_secret_key_is_refused():
    with pytest.raises(
        SettingsError, match=r"^GATEWAY_SECRET_KEY: secret_key: a secret key has 32"
    ) as refused:
        load(environment={"GATEWAY_SECRET_KEY": "canary"})
    assert "canary" not in str(refused.value)


def test_a_bare_secret_key_in_the_file_is_refused(elsewhere):
    with pytest.raises(SettingsError, match=r":1: secret_key: a secret is written as") as refused:
        loaded(elsewhere, f"secret_key = '{KEY}'")
    assert KEY not in str(refused.value)


def test_secrets_come_from_where_the_file_points(elsewhere):
    text = "secret_key = 'env:KEY'\nadmin_token = 'file:token'\ndatabase_url = 'env:URL'"
    (elsewhere / "token").write_text("t0\n")
    settings = loaded(elsewhere, text, {"KEY": KEY, "URL": "postgresql+asyncpg://u:p@h/d"})
    assert (settings.secret_key, settings.admin_token) == (KEY, "t0")
    assert settings.database == "postgresql+asyncpg://u:p@h/d"


def test_the_database_is_a_file_among_the_state(elsewhere):
    settings = load(environment={"GATEWAY_STATE_DIR": "state"})
    assert settings.database == f"sqlite+aiosqlite:///{elsewhere}/state/gateway.db"
