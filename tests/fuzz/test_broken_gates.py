"""A gate that is broken on purpose is found out, with about as many examples as a few runs have."""

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from gateway.core import arguments, policies, relay, strict
from gateway.providers.anthropic.response import MessagesResponse
from gateway.providers.openai import chat_calls, responses_calls, responses_ending
from tests.fuzz import oracle
from tests.fuzz.answers import cases
from tests.fuzz.profiles import TIMEOUT

pytestmark = pytest.mark.timeout(TIMEOUT)
_EXAMPLES = 1500


def _releases_before_the_verdict(patch):
    applied = relay.Relay._apply

    def apply(self, events, names):
        return applied(self, events, names) and not isinstance(self.adapter, MessagesResponse)

    patch.setattr(relay.Relay, "_apply", apply)


def _knows_one_name_of_each_call(patch):
    judged = policies.Guard.call

    def call(self, call, *args, **options):
        return judged(self, msgspec.structs.replace(call, names=()), *args, **options)

    patch.setattr(policies.Guard, "call", call)


def _compares_no_restated_arguments(patch):
    finish = responses_calls.Call._finish
    patch.setattr(responses_calls.Call, "_finish", lambda self, said: (False, finish(self, said)[1]))
    patch.setattr(responses_calls.Call, "settle", lambda self: iter(()))


def _refuses_only_the_events(patch):
    patch.setattr(responses_ending, "runs_at_client", lambda item: False)


def _takes_the_last_of_equal_keys(patch):
    def tree(data):
        value = strict._decode(data)
        return value, strict._encode(value)

    patch.setattr(relay, "tree", tree)


def _takes_the_last_of_equal_arguments(patch):
    patch.setattr(arguments, "tree", lambda data: (strict._decode(data), b""))


def _looks_for_no_calls_but_those_it_knows(patch):
    patch.setattr(relay, "call_names", lambda *args, **options: [])


def _lets_go_what_it_can_not_judge(patch):
    patch.setattr(relay.Relay, "_fail_closed", lambda self: None)


def _joins_no_names(patch):
    patch.setattr(chat_calls._Joined, "add", lambda *args: ())


def _takes_any_name(patch):
    patch.setattr(policies, "is_usual", lambda name: True)


BROKEN = [
    ("anthropic", _releases_before_the_verdict),
    ("anthropic", _takes_the_last_of_equal_keys),
    ("anthropic", _looks_for_no_calls_but_those_it_knows),
    ("chat", _knows_one_name_of_each_call),
    ("chat", _joins_no_names),
    ("chat", _takes_any_name),
    ("gemini", _takes_the_last_of_equal_keys),
    ("gemini", _lets_go_what_it_can_not_judge),
    ("responses", _compares_no_restated_arguments),
    ("responses", _refuses_only_the_events),
    ("responses", _takes_the_last_of_equal_arguments),
]


@pytest.mark.parametrize(
    ("name", "broken"), BROKEN, ids=[f"{name}{broken.__name__}" for name, broken in BROKEN]
)
def test_a_broken_gate_is_found_out(name, broken, monkeypatch):
    broken(monkeypatch)
    monkeypatch.setattr(oracle, "keep", lambda case: "none is kept")

    # The same examples each time: what is tested is whether they are good ones.
    @seed(1)
    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(name))
    def run(case):
        oracle.check(case)

    with pytest.raises(AssertionError):
        run()
