"""Plays an attack in process: a gateway's relay, adapters and policy stages, without sockets."""

import functools
import tempfile
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multidict import CIMultiDict, CIMultiDictProxy

from gateway import providers as provider_modules
from gateway import settings as configuration
from gateway.core import snapshot
from gateway.core.errors import GatewayError, UpstreamProtocol
from gateway.core.interaction import Interaction, Principal, new_id
from gateway.core.policies import Guard
from gateway.core.relay import Relay
from gateway.origin import Answer
from gateway.relaying import relay_for
from gateway.settings import Settings
from gateway.stages.tool_calls import ToolCalls
from gateway.stages.tool_results import ToolResults
from tests.attacks import policies
from tests.attacks.model import Attack, Kind, Tool
from tests.harness.dialects import DIALECTS
from tests.harness.upstream import cut

BYTE_BY_BYTE = 256 << 10
"""Bytes of an answer up to which it is also fed one by one."""
_NETWORK = 64 << 10
PROVIDERS = provider_modules.load()


@functools.cache
def guard(kind: Kind) -> tuple[Settings, Guard]:
    """The policies of one kind, read from a file as a gateway reads it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "gateway.toml"
        file.write_text(policies.TOML[kind])
        settings = configuration.load(str(file), {})
    made = snapshot.build(
        settings.declared,
        providers=PROVIDERS,
        default_policies=settings.default_policies,
        tool_dispatchers=settings.tool_dispatchers,
    )
    return settings, made.guard(made.agents["default"], ())


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a stage, which waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("a policy stage waits for something")


@dataclass
class Played:
    """What came of it."""

    body: bytes
    """All that left the gateway."""
    sse: bool
    whole: bool
    """The body is an answer: the upstream's, or the gateway's own error in place of one that had not begun."""
    error: GatewayError | None
    interaction: Interaction


def admitted(dialect: str, kind: Kind, *, stream: bool, **more: Any) -> Interaction:
    """A request that has come as far as to be sent."""
    _, guarded = guard(kind)
    wire = DIALECTS[dialect]
    provider = PROVIDERS[wire.provider]
    match = provider.match("POST", wire.path(stream=stream).partition("?")[0])
    assert match is not None
    i = Interaction(new_id(1.0), provider, match.endpoint, {}, path=match.path)
    i.principal = Principal("default")
    i.guard = guarded
    i.request = match.endpoint.request(
        policies.body(dialect, kind, stream=stream, **more), match.params, provider.row.quirks
    )
    i.streamed = i.request.stream
    for stage in (ToolResults(), ToolCalls()):
        run(stage.on_request(i))
    assert i.hold, "nothing is held"
    assert i.context_untrusted is (kind == "untrusted")
    return i


def answer(attack: Attack) -> Answer:
    """The head of the upstream's answer."""
    usual = DIALECTS[attack.dialect].stream_type if attack.stream else "application/json"
    headers = {"content-type": usual, "content-length": "0", **attack.headers}
    known: Any = CIMultiDictProxy(CIMultiDict({name: value for name, value in headers.items() if value}))
    nothing: Any = None
    return Answer(200, known, nothing, nothing)


def relay(attack: Attack, kind: Kind) -> tuple[Relay, Interaction]:
    """The relay of an answer whose head has come."""
    i = admitted(attack.dialect, kind, stream=attack.stream, **attack.request)
    return relay_for(i, answer(attack), guard(kind)[0], asked=i.streamed and i.request.ask_usage()), i


def play(attack: Attack, kind: Kind, chunks: Sequence[bytes]) -> Played:
    """Feed an answer, ask for the verdict, and end it: what a gateway's exchange does, without its sockets."""
    i = admitted(attack.dialect, kind, stream=attack.stream, **attack.request)
    settings, _ = guard(kind)
    being = None
    out = b""
    try:
        head = answer(attack)
        being = relay_for(i, head, settings, asked=i.streamed and i.request.ask_usage())
        for chunk in chunks:
            out += being.feed(chunk)
            if being.stopped:
                break
        if not being.stopped:
            out += being.close()
        if being.failure is not None:
            raise being.failure
        if not being.complete:
            raise UpstreamProtocol("The upstream ended its answer before it was complete.")
        if being.held:
            run(ToolCalls().on_tool_calls(i))
            out += being.release() if i.refusal is None else being.refuse(i.refusal)
    except GatewayError as error:
        i.fail(error)
        sse = bool(out) and attack.dialect != "gemini_array"
        ending = being.fail(error) if being is not None and out else i.provider.error(error, i.endpoint)
        return Played(out + (ending or b""), sse, ending is not None, error, i)
    content_type = head.headers.get("content-type", "")
    return Played(out, content_type.lower().startswith("text/event-stream"), True, None, i)


@functools.lru_cache(8)
def frames(build: Any, tool: Tool) -> tuple[bytes, ...]:
    return tuple(build(tool))


def splits(attack: Attack, tool: Tool, seed: int = 7) -> Iterator[tuple[str, list[bytes]]]:
    """The ways in which a network may cut the answer."""
    parts = frames(attack.build, tool)
    data = b"".join(parts)
    if attack.splits == "huge":
        yield "64 kB", [data[at : at + _NETWORK] for at in range(0, len(data), _NETWORK)]
        if attack.id != "38":
            return
    yield "whole", [data]
    yield "event", list(parts)
    if attack.splits == "huge":
        return
    yield "random", cut(data, "random", parts, seed)
    yield "random again", cut(data, "random", parts, seed + 1)
    if attack.splits == "all" and len(data) <= BYTE_BY_BYTE:
        yield "byte", cut(data, "byte", parts)
    if attack.id == "01" and (at := data.find(tool.name.encode())) >= 0:
        for here in range(at, at + len(tool.name) + 1):
            yield f"cut at {here - at} of the name", [data[:here], data[here:]]
