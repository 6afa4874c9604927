"""Secrets that the tests put where secrets go, and how to find one wherever it must not be."""

import base64
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote, urlsplit

import orjson

from tests.harness import sinks

CLIENT_KEYS = {
    "openai": "sk-canary-5b1f0c9d7e",
    "anthropic": "sk-ant-canary-83d2a6414c",
    "gemini": "AIza-canary-e0977f2b15",
}
"""What clients send as their own keys, in every test that has no other one to send."""

_SLOT = re.compile(r"_API_KEY|_TOKEN|_SECRET_KEY")
_LEAST = 8
"""Characters: of a shorter one, any other text may hold the same by chance."""

_MOST = 64 << 20
"""Bytes of a file: what a test of load leaves would take minutes to look through."""


def made(name: str, end: str = '/+"\\=&%;') -> str:
    """A new secret, which tells where it was put; ``end``: what each way of spelling writes in another way."""
    return f"canary-{name}-{secrets.token_hex(8)}{end}"


def forms(secret: str) -> set[bytes]:
    """Every spelling in which a secret could be written down: as it is, percent-encoded, in JSON, by Python, in base64."""
    escaped = orjson.dumps(secret).decode()[1:-1]
    spelt = {secret, repr(secret)[1:-1], quote(secret, safe=""), quote_plus(secret), quote(secret), escaped}
    spelt |= {text.replace("/", "\\/") for text in (secret, escaped)}
    return {text.encode() for text in spelt} | set(_base64(secret.encode()))


def _base64(data: bytes) -> Iterator[bytes]:
    """What of an encoded text does not depend on what stands before and behind the secret in it."""
    for before in range(3):
        padded = b"\0" * before + data
        whole = padded[: len(padded) // 3 * 3]
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(whole)[4 * bool(before) :]


def of_process(env: Mapping[str, str], state: Path | None = None) -> set[str]:
    """The secrets that a gateway with this environment and state folder holds, and those of its clients."""
    found = set(CLIENT_KEYS.values())
    for name, value in env.items():
        if _SLOT.search(name):
            found.add(Path(value).read_text().strip() if name.endswith("_FILE") else value)
        elif name == "GATEWAY_DATABASE_URL":
            found.add(unquote(urlsplit(value).password or ""))
    if state is not None and (key := state / "secret.key").exists():
        found.add(key.read_text().strip())
    return {secret for secret in found if len(secret) >= _LEAST}


def check(held: Mapping[str, bytes], wanted: Iterable[str]) -> None:
    """I6: no secret in any sink, however it is spelt. ``held``: by name, what each sink holds."""
    for secret in wanted:
        for form in forms(secret):
            for name, data in held.items():
                if (at := data.find(form)) >= 0:
                    near = data[max(0, at - 60) : at + len(form) + 60]
                    raise AssertionError(f"I6: {secret!r} is in {name}: {near!r}")


def in_folder(state: Path) -> dict[str, bytes]:
    """All that a gateway keeps in its state folder, but for the file that is there to hold a secret."""
    paths = [path for path in state.rglob("*") if path.is_file() and path.name != "secret.key"]
    paths = [path for path in paths if path.stat().st_size < _MOST]
    held = {str(path.relative_to(state)): path.read_bytes() for path in paths}
    if "gateway.db" in held:
        held["what gateway.db compresses"] = b"\n".join(sinks.decompressed(state))
    return held
