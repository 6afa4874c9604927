"""A gate in process: the relay, the adapter and the policy stage as an exchange puts them together, without sockets."""

import functools
from typing import Any, NamedTuple

from multidict import CIMultiDict, CIMultiDictProxy

from gateway import providers as provider_modules
from gateway.core.conditions import Condition
from gateway.core.entities import ToolInvocationPolicy
from gateway.core.errors import GatewayError, UpstreamProtocol
from gateway.core.interaction import Interaction
from gateway.core.policies import Guard
from gateway.core.rules import DefaultPolicies, Rule
from gateway.origin import Answer
from gateway.relaying import relay_for
from gateway.settings import Settings
from gateway.stages.tool_calls import ToolCalls
from tests.fuzz.case import Case, Policy
from tests.harness.dialects import DIALECTS

_PROVIDERS = provider_modules.load()
_SETTINGS = Settings(state_dir="/nowhere", event_limit=1 << 20, hold_limit=1 << 20)
_STAGE = ToolCalls()


class Result(NamedTuple):
    """What a client gets."""

    body: bytes
    status: int
    begun: bool
    """The answer had begun, so that an error could only follow it."""
    refusal: str
    error: GatewayError | None


@functools.lru_cache(256)
def guard(policy: Policy) -> Guard:
    made: Any = [
        Rule(
            ToolInvocationPolicy(
                id=str(number),
                tool=rule.tool,
                action=rule.action,
                conditions=tuple(
                    Condition(key=key, operator=operator, value=value)
                    for key, operator, value in rule.conditions
                ),
            )
        )
        for number, rule in enumerate(policy.rules)
    ]
    for rule in made:
        assert rule.policy.problem() is None, rule.policy.problem()
    return Guard(made, defaults=DefaultPolicies(call=policy.default))


@functools.cache
def _endpoint(format_: str, *, stream: bool) -> tuple[Any, Any, bytes]:
    wire = DIALECTS[format_]
    provider = _PROVIDERS[wire.provider]
    match = provider.match("POST", wire.path(stream=stream).partition("?")[0])
    assert match is not None
    return provider, match, wire.body(stream=stream)


def play(case: Case) -> Result:
    """Let an answer through."""
    provider, match, body = _endpoint(case.format, stream=case.stream)
    i = Interaction("0123456789", provider, match.endpoint, {}, path=match.path, hold=True)
    i.guard = guard(case.policy)
    assert i.guard.holds
    i.context_untrusted = case.policy.untrusted
    i.request = match.endpoint.request(body, match.params, provider.row.quirks)
    i.streamed = i.request.stream
    headers: Any = CIMultiDictProxy(CIMultiDict({"content-type": case.content_type}))
    nothing: Any = None
    relay = None
    out = b""
    try:
        relay = relay_for(i, Answer(200, headers, nothing, nothing), _SETTINGS, asked=False)
        for chunk in case.chunks:
            out += relay.feed(chunk)
            if relay.stopped:
                break
        if not relay.stopped:
            out += relay.close()
        if relay.failure is not None:
            raise relay.failure
        if not relay.complete:
            raise UpstreamProtocol("The upstream ended its answer before it was complete.")
        if relay.held:
            _run(_STAGE.on_tool_calls(i))
            out += relay.release() if i.refusal is None else relay.refuse(i.refusal)
    except GatewayError as error:
        i.fail(error)
        if relay is None or not out:
            return Result(provider.error(error, match.endpoint), error.status, False, "", error)
        return Result(out + (relay.fail(error) or b""), 200, True, "", error)
    return Result(out, 200, True, i.refusal or "", None)


def _run(coroutine: Any) -> None:
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("the stage waits for something")
