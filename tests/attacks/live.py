"""Plays an attack through a running gateway: a scripted upstream behind it, the vendors' clients before it."""

import os
import re
from pathlib import Path

import orjson

from tests.attacks import policies
from tests.attacks.model import CANARY, KINDS, PASSES, Attack, Ending, Kind, ending
from tests.attacks.runner import frames
from tests.clients.scripted import Scripted
from tests.harness.client import Exchange
from tests.harness.dialects import DIALECTS
from tests.harness.upstream import ScriptStep, send

KEPT = os.environ.get("GATEWAY_TEST_ANSWERS", "")
"""A folder in which what the gateway sent is kept, for clients of other versions and languages."""
_NETWORK = 64 << 10


def kind_for(attack: Attack, number: int) -> Kind:
    """One of the kinds, in turns, and none that lets the call pass if there is another."""
    turn = [KINDS[(number + more) % len(KINDS)] for more in range(len(KINDS))]
    return next((kind for kind in turn if ending(attack.denied, kind) is not PASSES), turn[0])


def steps(attack: Attack) -> list[ScriptStep]:
    """The upstream's answer, an event at a time."""
    usual = DIALECTS[attack.dialect].stream_type if attack.stream else "application/json"
    headers = {"content-type": usual, "transfer-encoding": "chunked", **attack.headers}
    lines = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in headers.items() if value)]
    parts = list(frames(attack.build, CANARY))
    if attack.encode is not None:
        parts = [attack.encode(b"".join(parts))]
    elif attack.splits == "huge":
        data = b"".join(parts)
        parts = [data[at : at + _NETWORK] for at in range(0, len(data), _NETWORK)]
    chunks = (b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return [send("\r\n".join([*lines, "", ""]).encode()), *map(send, chunks), send(b"0\r\n\r\n")]


async def play(running: Scripted, attack: Attack, kind: Kind) -> Exchange:
    dialect = DIALECTS[attack.dialect]
    body = policies.body(attack.dialect, kind, stream=attack.stream, **attack.request)
    got, _ = await running.ask(
        dialect.request(stream=attack.stream, body=body), steps(attack), dialect=dialect
    )
    return got


def reads(attack: Attack) -> bool:
    """Whether the vendor's client reads such an answer: google-genai always asks for events."""
    return attack.sdk and attack.dialect != "gemini_array"


def keep(attack: Attack, expected: Ending, got: Exchange) -> None:
    """Keep what the gateway sent, if there is a place for it."""
    ran = expected is PASSES and attack.id not in ("38", "54")  # by the provider itself
    if not KEPT or attack.dialect == "gemini_array" or ran:
        return
    folder = Path(KEPT)
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^A-Za-z0-9]+", "-", attack.name)
    told = {
        "name": attack.name,
        "dialect": attack.dialect,
        "stream": attack.stream,
        "ending": expected.value,
        "reads": reads(attack),
    }
    (folder / f"{name}.raw").write_bytes(got.raw)
    (folder / f"{name}.json").write_bytes(orjson.dumps(told))
