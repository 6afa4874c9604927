"""What a running gateway takes over from a changed file, and what has no effect yet."""

import re

import pytest

from gateway.core.dual_llm import DualLlm
from gateway.core.entities import Agent, Limit, ToolInvocationPolicy
from gateway.core.rules import DefaultPolicies
from gateway.settings import (
    ProviderSettings,
    Record,
    Settings,
    SettingsError,
    Timeouts,
    merged,
    without_effect,
)


def test_what_can_change_does_and_the_rest_needs_a_restart():
    running = Settings(port=1, providers={"a": ProviderSettings(api_key="env:A")})
    changed = Settings(
        port=2,
        auth="required",
        agents=(Agent(slug="x"),),
        tool_invocation_policies=(ToolInvocationPolicy(tool="t", action="block_always"),),
        default_policies=DefaultPolicies(call="block_always"),
        dual_llm=DualLlm(max_rounds=3),
        timeouts=Timeouts(gap=1.0),
        providers={"a": ProviderSettings(api_key="env:B")},
    )
    settings, restart = merged(running, changed)
    assert (settings.port, settings.auth, settings.timeouts) == (1, "required", Timeouts())
    assert settings.agents == changed.agents
    assert settings.tool_invocation_policies == changed.tool_invocation_policies
    assert settings.default_policies == changed.default_policies
    assert settings.dual_llm == changed.dual_llm
    assert settings.providers["a"].api_key == "env:B"
    assert restart == ["port", "timeouts"]


def test_providers_change_but_for_their_timeouts():
    running = Settings(providers={"a": ProviderSettings(base_url="http://a"), "b": ProviderSettings()})
    changed = {
        "a": ProviderSettings(base_url="http://elsewhere"),
        "c": ProviderSettings(like="a", timeouts=Timeouts(gap=1.0)),
    }
    settings, restart = merged(running, Settings(providers=changed))
    assert {name: own.base_url for name, own in settings.providers.items()} == {
        "a": "http://elsewhere",
        "c": "",
    }
    assert settings.providers["c"].timeouts == Timeouts()
    assert restart == ["providers"]
    del changed["c"]
    assert merged(running, Settings(providers=changed))[1] == []


def test_open_is_judged_by_the_address_that_is_bound():
    exposed = Settings(host="0.0.0.0")
    with pytest.raises(SettingsError, match="loopback"):
        merged(exposed, Settings(host="127.0.0.1", auth="open"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Settings(limits=(Limit(kind="cost"),)), "limits: 1 kept, but NOT enforced"),
        (Settings(workers=4), "workers: kept, but without effect"),
        (
            Settings(
                agents=(Agent(slug="support"),),
                tool_invocation_policies=(
                    ToolInvocationPolicy(
                        tool="t", action="block_always", agents=("suport", "support", "default")
                    ),
                ),
            ),
            "agent 'suport' is not declared here; .* did you mean 'support'",
        ),
        (Settings(counters_url="redis://x"), "counters_url"),
        (Settings(on_disconnect="drain"), "on_disconnect"),
        (Settings(providers={"a": ProviderSettings(fallbacks=("b",))}), r"providers\.a\.fallbacks"),
    ],
)
def test_what_has_no_effect_is_said(settings, said):
    [sentence] = without_effect(settings)
    assert re.search(said, sentence)


def test_the_rest_is_not_complained_about():
    assert list(without_effect(Settings(record=Record(bodies=False), agents=(Agent(slug="a"),)))) == []
