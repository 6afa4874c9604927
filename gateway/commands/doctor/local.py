"""What a gateway needs of the machine that it is on."""

import asyncio
import tempfile
from pathlib import Path

from gateway import secrets
from gateway.commands.doctor.finding import Finding
from gateway.core.entities import ProviderSecret
from gateway.core.errors import UpstreamError
from gateway.core.snapshot import Entities
from gateway.secrets import Keyring, SecretError
from gateway.settings import Settings, SettingsError
from gateway.storage.database import Database
from gateway.storage.migrate import HEAD
from gateway.storage.snapshot import SECRET_FIELD, DatabaseSource
from gateway.upstream import Upstream

_UNDER_THE_KEY = ("virtual_keys", "provider_secrets", "console_tokens")
"""Kinds that are of no use without the secret key."""
_PATIENCE = 2.0
"""Seconds for a port of this machine to say whose it is."""


def state_folder(settings: Settings) -> Finding:
    """Try to write into the folder, or into the one that it would be made in."""
    folder = Path(settings.state_dir).absolute()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return Finding("wrong", "state folder", f"{there} can't be written to: {error.strerror}")
    if there != folder:
        return Finding("note", "state folder", f"{folder} is not there yet; the first start makes it")
    return Finding("ok", "state folder", f"{folder} can be written to")


async def database(lent: Database) -> tuple[Finding, Entities]:
    """See whether it takes reads and writes; return what was created in it, too."""
    revision = await lent.revision()
    if not revision:
        return Finding("note", "database", f"{lent.place} is empty; the first start makes its tables"), {}
    async with lent.write():
        pass
    if revision != HEAD:
        what = f"{lent.place} is at revision {revision}; migrate, or the next start, brings it to {HEAD}"
        return Finding("note", "database", what), {}
    _, created = await DatabaseSource(lent).load()
    return Finding("ok", "database", f"{lent.place} is at revision {HEAD}"), created


def secret_key(settings: Settings, created: Entities) -> tuple[Finding, Keyring | None]:
    """Look for the installation's master key, and make none."""
    about = "secret key"
    file = secrets.file(settings)
    if not settings.secret_key and not file.exists():
        lost = sum(len(created.get(kind, ())) for kind in _UNDER_THE_KEY)
        if lost:
            what = (
                f"{file} is not there; restore it: keys in the database that are of no use without it: {lost}"
            )
            return Finding("wrong", about, what), None
        return Finding("note", about, f"{file} is not there yet; the first start makes it"), None
    try:
        keyring = secrets.load(settings)
    except SettingsError as error:
        return Finding("wrong", about, str(error)), None
    return Finding("ok", about, f"the one whose id is {keyring.id}"), keyring


def stored_keys(keyring: Keyring | None, created: Entities) -> tuple[list[Finding], dict[str, str]]:
    """Decrypt the stored keys of providers; return what is wrong with some, and the others by provider."""
    wrong, keys = [], {}
    for row in created.get("provider_secrets", ()):
        if keyring and isinstance(row, ProviderSecret):
            try:
                keys[row.provider] = keyring.open(row.ciphertext, row.id, SECRET_FIELD)
            except SecretError as error:
                wrong.append(Finding("wrong", row.provider, f"its stored key can't be used: {error}"))
    return wrong, keys


async def port(upstream: Upstream, name: str, host: str, number: int) -> Finding:
    """See whether a port can be had, or a gateway has it."""
    about = f"{name} port"
    place = f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
    try:
        listener = await asyncio.get_running_loop().create_server(asyncio.Protocol, host, number)
    except OSError as error:
        if await _is_gateway(upstream, f"http://{place}/healthz"):
            return Finding("ok", about, f"a gateway answers at {place}")
        reason = str(error.strerror).rpartition(": ")[2]  # asyncio repeats the address
        return Finding("wrong", about, f"{place} can't be had: {reason}")
    listener.close()
    return Finding("ok", about, f"{place} is free")


async def _is_gateway(upstream: Upstream, url: str) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            answer, _ = await upstream.send("GET", url, (), b"", upstream.limits(""))
    except (TimeoutError, UpstreamError):
        return False
    answer.close()
    return answer.status == 200 and answer.headers.get("Server") == "llm-gateway"
