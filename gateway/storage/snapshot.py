"""Keeps the snapshot what the database and the configuration file say, while the gateway runs.

Both are looked at once a second: a number in the database that every write increases, and the file's identity,
size and time. That also sees what notifications of the file system miss: mounts of other machines, links that
are turned to another folder, files that are replaced. A changed file counts once it has been the same for two
looks, so that one which is just being written is not read in half.

What can't be read changes nothing: the snapshot stays, and the log says why, once.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import structlog

from gateway.core.entities import KINDS, Entity, ProviderSecret
from gateway.core.provider import Providers
from gateway.core.snapshot import Entities, Snapshot, Snapshots, build, merged
from gateway.secrets import Keyring, SecretError
from gateway.settings import FILE, Settings, SettingsError, without_effect
from gateway.settings import merged as merged_settings
from gateway.storage.database import Database
from gateway.storage.queries import entities as queries
from gateway.tasks import spawn

INTERVAL = 1.0
"""Seconds between two looks: a revoked key is refused after at most two of them."""
SECRET_FIELD = "ciphertext"  # noqa: S105  # a field's name
"""What a provider's secret is encrypted for, beside the id of its row."""

Reread = Callable[[], tuple[Settings, Providers, Mapping[str, str]]]
"""Reads file and environment anew: the settings, the providers, and the operator's own keys for them."""

_log = structlog.get_logger()


class Source(Protocol):
    """Where created entities come from."""

    async def version(self) -> int:
        """Return a number that every write changes."""

    async def load(self) -> tuple[int, Entities]:
        """Return all entities by kind, and the version that they are."""


class DatabaseSource:
    """The database as a source."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def version(self) -> int:
        async with self._database.read() as connection:
            return await queries.version(connection)

    async def load(self) -> tuple[int, Entities]:
        async with self._database.read() as connection:
            version, found = await queries.load_all(connection, KINDS)
        return version, {kind: [e for e in rows if isinstance(e, Entity)] for kind, rows in found.items()}


class Refresh:
    """Loads the snapshot, and loads it again when something changed."""

    def __init__(
        self,
        settings: Settings,
        providers: Providers,
        secrets: Mapping[str, str],
        keyring: Keyring,
        *,
        source: Source | None = None,
        reread: Reread | None = None,
    ) -> None:
        """``secrets``: the operator's own keys, from file and environment, which count before stored ones."""
        self.settings = settings
        """Those that hold now, as far as they can change."""
        self._started_with = settings
        self._providers = providers
        self._secrets = secrets
        self._keyring = keyring
        self._source = source
        self._reread = reread
        self._version = 0
        self._created: Entities = {}
        self._path = settings.file or FILE  # which may come yet
        self._file = _identity(settings.file) if settings.file else None
        self._seen = self._file
        self._failing = False
        self._looking = asyncio.Lock()  # of two looks at once the older one could win
        self._task: asyncio.Task[None] | None = None
        self.snapshots = Snapshots(self._built())

    async def load(self) -> Snapshot:
        """Load what was created; return what holds with it."""
        if self._source is not None:
            self._version, self._created = await self._source.load()
            self.snapshots.current = self._built()
        return self.snapshots.current

    async def start(self) -> None:
        """Load what was created, and begin to look."""
        await self.load()
        self._task = spawn(self._run(), name="snapshot")

    def stop(self) -> None:
        """Look no more."""
        if self._task:
            self._task.cancel()

    async def look(self) -> None:
        """Take over what changed since the last look; whoever has just written may call it, too."""
        async with self._looking:
            changed = await self._look_at_file()
            if await self._look_at_database() or changed:
                # Ten thousand keys take 20 ms, in which answers go on.
                self.snapshots.current = await asyncio.to_thread(self._built)
            if changed:
                _log.info("configuration changed", file=self.settings.file)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.look()
            except Exception:  # noqa: BLE001  # whatever it was, the next look may go well
                _log.exception("configuration can't be taken over")

    async def _look_at_database(self) -> bool:
        if self._source is None:
            return False
        try:
            if await self._source.version() == self._version:
                self._failing = False
                return False
            self._version, self._created = await self._source.load()
        except Exception as error:  # noqa: BLE001  # drivers raise what they like
            if not self._failing:
                _log.error(
                    "the database can't be asked for changes: keys and policies stay as they are",
                    error=type(error).__name__,
                )
            self._failing = True
            return False
        self._failing = False
        return True

    async def _look_at_file(self) -> bool:
        before, self._seen = self._seen, _identity(self._path)
        if self._reread is None or self._seen == self._file or self._seen != before:
            return False
        self._file = self._seen
        if self._file is None:
            _log.warning(f"{self._path} is gone; the configuration stays as it was")
            return False
        try:
            changed, providers, secrets = await asyncio.to_thread(self._reread)
            settings, restart = merged_settings(self._started_with, changed)
        except SettingsError as error:
            _log.error(f"{error}; the configuration stays as it was")
            return False
        self.settings, self._providers, self._secrets = settings, providers, secrets
        for warning in without_effect(settings):
            _log.warning(warning)
        if restart:
            _log.warning(f"{settings.file}: a change of {', '.join(restart)} needs a restart")
        return True

    def _built(self) -> Snapshot:
        settings = self.settings
        created = {kind: [e for e in rows if _can_be(kind, e)] for kind, rows in self._created.items()}
        entities = merged(created, settings.declared)
        secrets = self._opened() | dict(self._secrets)
        snapshot = build(
            entities,
            version=self._version,
            auth=settings.auth,
            default_agent=settings.default_agent,
            providers=self._providers,
            secrets=secrets,
            default_policies=settings.default_policies,
            tool_dispatchers=settings.tool_dispatchers,
            dual_llm=settings.dual_llm,
        )
        for key in snapshot.virtual_keys.values():
            if key.agent and key.agent not in snapshot.agents:
                _log.warning(
                    f"virtual key {key.name!r}: there is no agent {key.agent!r}, so it opens nothing"
                )
        return snapshot

    def _opened(self) -> dict[str, str]:
        """Decrypt the stored keys of providers; one that can't be is told of, and left out."""
        secrets = {}
        for row in self._created.get("provider_secrets", ()):
            if isinstance(row, ProviderSecret):
                try:
                    secrets[row.provider] = self._keyring.open(row.ciphertext, row.id, SECRET_FIELD)
                except SecretError as error:
                    _log.error(f"the stored key of provider {row.provider!r} can't be used: {error}")
        return secrets


def _can_be(kind: str, entity: Entity) -> bool:
    if problem := entity.problem():
        _log.error(f"a stored row of {kind} is left out: {problem[0]}: {problem[1]}", id=entity.id)
    return problem is None


def _identity(file: str) -> tuple[int, int, int, int] | None:
    """Return what differs when a file was changed or replaced; ``None``: it is not there."""
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
