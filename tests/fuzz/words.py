"""What models call in these tests, and the policies that their calls meet."""

import functools
from typing import NamedTuple

from tests.fuzz.case import Policy, Rule
from tests.fuzz.judge import refused
from tests.fuzz.source import Source

VALUE = "/etc/canary-arg"
"""What no argument may say where a policy reads it."""
CANARY = "delete_all"
"""The tool that most policies are about."""
SAFE = "get_weather"
OTHER = "read_file"

_NAMES = (SAFE, CANARY, OTHER)
_ODD_NAMES = (
    "Delete_All",
    "delete_all ",
    "delete_all\x00",
    "mcp__srv__delete_all",
    "mcp__a__mcp__b__delete_all",
    "\uff44elete_all",
    "d\u0435lete_all",
    "delete\u200d_all",
    "get_weather_delete_all",
    "\ud800",
    "",
    "get_",
    "x" * 200,
)
_ARGUMENTS = ("{}", f'{{"path":"{VALUE}"}}', '{"path":"/ok/a"}')
_SUBTLE_ARGUMENTS = (
    f'{{"path":"{VALUE}","path":"/ok"}}',
    f'{{"path":"/ok","path":"{VALUE}"}}',
    f'{{"p\\u0061th":"{VALUE}"}}',
    f'{{"path":"{VALUE}"}}{{"path":"/ok"}}',
)
"""What a careless reader takes for something else."""
_ODD_ARGUMENTS = (
    '{"path":"\\/etc\\/canary-arg"}',
    '{"path":"\\u002fetc/canary-arg"}',
    f'{{"a":{{"path":"{VALUE}"}},"path":"/ok"}}',
    f'{{"list":["/ok","{VALUE}"]}}',
    f'{{"path":"{VALUE}"',
    f'{{"path":"/ok"}}{{"path":"{VALUE}"}}',
    f' {{"path":"{VALUE}"}} ',
    f'{{"path":"{VALUE}\\ud800"}}',
    f'{{"path":NaN,"x":"{VALUE}"}}',
    f'{{"path":"{VALUE}",}}',
    f'{{"path":"/ok","a":{{"b":1,"b":"{VALUE}"}}}}',
    "null",
    "[]",
    '"x"',
    "",
    "12",
    '{"path":null}',
    '{"name":"delete_all","arguments":{}}',
    '{"path":' + "[" * 70 + "]" * 70 + "}",
)


class Called(NamedTuple):
    """A call of a model."""

    id: str
    name: str
    arguments: str
    """JSON, mostly."""


def _odd_arguments(source: Source) -> str:
    return source.pick(_SUBTLE_ARGUMENTS if source.chance(60) else _ODD_ARGUMENTS)


def call(source: Source, number: int, *, odd: bool = True) -> Called:
    name = source.pick(_ODD_NAMES) if odd and source.chance(12) else source.pick(_NAMES)
    arguments = _odd_arguments(source) if odd and source.chance(20) else source.pick(_ARGUMENTS)
    return Called(f"call_{number}", name, arguments)


ALLOW = "allow_when_context_is_untrusted"
BLOCK = "block_always"
BLOCK_UNTRUSTED = "block_when_context_is_untrusted"

_HAS_VALUE = ("path", "contains", "/etc/")
POLICIES = (
    # By name.
    Policy((Rule(CANARY, BLOCK),)),
    Policy((Rule("delete*", BLOCK),)),
    Policy((Rule("*", BLOCK),)),
    # By argument.
    Policy((Rule("*", BLOCK, (_HAS_VALUE,)),)),
    Policy((Rule(CANARY, BLOCK, (_HAS_VALUE,)),)),
    Policy(
        (
            Rule("*", BLOCK, (("any:list[*]", "contains", VALUE),)),
            Rule("*", BLOCK, (("a.path", "equal", VALUE),)),
        )
    ),
    Policy((Rule("*", BLOCK, (("path", "regex", "^/etc/.*arg$"),)),)),
    # Lists of what is allowed.
    Policy((Rule(SAFE, ALLOW),), default=BLOCK),
    Policy((Rule(SAFE, ALLOW), Rule("read_*", ALLOW)), default=BLOCK),
    Policy((Rule("*", ALLOW, (("path", "startsWith", "/ok"),)),), default=BLOCK),
    Policy(
        (Rule(CANARY, ALLOW, (("path", "exists", None),)), Rule("*", BLOCK, (_HAS_VALUE,))), default=BLOCK
    ),
    # By the context.
    Policy((Rule(SAFE, ALLOW),), default=BLOCK_UNTRUSTED, untrusted=True),
    Policy((Rule(SAFE, ALLOW),), default=BLOCK_UNTRUSTED),
    Policy((Rule(CANARY, BLOCK_UNTRUSTED), Rule("*", BLOCK_UNTRUSTED, (_HAS_VALUE,))), untrusted=True),
    Policy(
        (
            Rule(CANARY, BLOCK_UNTRUSTED, (_HAS_VALUE,)),
            Rule("*", "require_approval", (("x", "exists", True),)),
        )
    ),
)


_KINDS = (POLICIES[0], POLICIES[3], POLICIES[7], POLICIES[11])
"""One of each kind."""


def policy(source: Source) -> Policy:
    return source.pick(_KINDS if source.chance(60) else POLICIES)


@functools.cache
def _sorted(policy: Policy) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the usual calls that a policy allows, and those that it refuses."""
    usual = [(name, arguments) for name in _NAMES for arguments in _ARGUMENTS]
    bad = [call for call in usual if refused(policy, call)]
    return [call for call in usual if call not in bad], bad


def pair(source: Source, policy: Policy) -> tuple[Called, Called]:
    """Return a call that is allowed and one that is refused, as far as there are such."""
    allowed, bad = _sorted(policy)
    good = source.pick(allowed or bad)
    judged = any(rule.conditions for rule in policy.rules)
    if bad and not source.chance(55 if judged else 12):
        other = source.pick(bad)
        if source.chance(30):
            same = [call for call in bad if call[0] == good[0] or call[1] == good[1]]
            other = source.pick(same or bad)
    else:
        name, arguments = source.pick(bad or allowed)
        other = (
            (source.pick(_ODD_NAMES), arguments)
            if source.chance(20 if judged else 80)
            else (name, _odd_arguments(source))
        )
    return Called("call_0", *good), Called("call_1" if source.chance(75) else "call_0", *other)


def allowed(source: Source, policy: Policy, number: int) -> Called:
    good, bad = _sorted(policy)
    return Called(f"call_{number}", *source.pick(good or bad))
