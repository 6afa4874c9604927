"""The composition root: settings, providers, stages and the two servers, put together and taken apart."""

import asyncio
import gc
import os
import resource
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from time import monotonic

import structlog
from aioprometheus.collectors import Registry

from gateway import providers as provider_modules
from gateway import settings as configuration
from gateway import vitals
from gateway.asking import Asking
from gateway.console.api import ConsoleParts, make_console
from gateway.console.application import HEADERS
from gateway.core.provider import Providers
from gateway.core.recollection import Recollection
from gateway.core.redaction import Redactor
from gateway.core.search import SEARCHED
from gateway.core.snapshot import Snapshots
from gateway.core.stage import Pipeline, Stage
from gateway.exchange import Parts
from gateway.health import Health
from gateway.logs import InteractionWriter
from gateway.prices import Prices
from gateway.proxy import Proxy
from gateway.recorder import Recorder
from gateway.secrets import Keyring
from gateway.secrets import load as load_keyring
from gateway.server import Server, make_server
from gateway.settings import Settings, SettingsError
from gateway.stages.auth import Auth
from gateway.stages.cost import Cost
from gateway.stages.dual_llm import Complete, DualLlmStage
from gateway.stages.interaction_log import InteractionLog
from gateway.stages.keys import Keys
from gateway.stages.metrics import Metrics
from gateway.stages.tool_calls import ToolCalls
from gateway.stages.tool_discovery import ToolDiscovery
from gateway.stages.tool_results import ToolResults
from gateway.stages.upstream_state import UpstreamState
from gateway.storage.archive import Archive
from gateway.storage.database import Database, DatabaseUnusable
from gateway.storage.queries.search import TextOf, Unread
from gateway.storage.snapshot import DatabaseSource, Refresh, Reread
from gateway.storage.summaries import Summaries
from gateway.upstream import Upstream
from gateway.watchdog import Watchdog

_LAST_WORDS = 6.0
"""Seconds for the ends of answers that are interrupted."""
_BACKLOG = 1024

_log = structlog.get_logger()


def load_providers(settings: Settings, environment: Mapping[str, str]) -> tuple[Providers, dict[str, str]]:
    """Return the registry under the operator's settings, and the operator's own keys by provider."""
    try:
        providers = provider_modules.load(plugins=True)
        providers = providers.changed(configuration.provider_overrides(settings, providers, environment))
    except ValueError as error:
        raise SettingsError(str(error)) from None
    secrets: dict[str, str] = {}
    for name, provider in providers.items():
        usual = (("", f"env:{variable}") for variable in provider.row.key_variables)
        for place, reference in (*configuration.key_references(name, settings, environment), *usual):
            if secret := configuration.read_secret(reference, environment, place):
                secrets[name] = secret
                break
            if place and environment:  # the demo has none, and needs no keys
                _log.warning(
                    f"{place}the key of provider {name!r} is not there: {reference} is empty or unset"
                )
    return providers, secrets


def make_stages(
    settings: Settings,
    snapshots: Snapshots,
    keyring: Keyring,
    features: Sequence[Stage],
    archive: Archive,
    registry: Registry,
    busy: Callable[[], bool],
    complete: Complete,
) -> list[Stage]:
    """Return every stage in order; this list is the only place that says it.

    ``busy``: whether any answer is under way; ``complete``: asks a model on behalf of a request.
    """
    record = settings.record
    redactor = Redactor(record.redact)
    summaries = Summaries(archive.database, keyring.bodies, redactor, bodies=record.bodies)
    return [
        Auth(snapshots, keyring.digest),
        Keys(),  # before whatever records
        *features,
        UpstreamState(),  # before results are read: it knows whose they are
        ToolResults(),
        DualLlmStage(snapshots, complete, summaries.load, summaries.save),
        ToolCalls(),
        ToolDiscovery(archive.discoveries.put, redactor, contents=record.bodies),
        Cost(Prices(lambda: snapshots.current.prices), busy),
        Metrics(registry),  # before what may wait for a database: then it is looked at most
        InteractionLog(
            InteractionWriter(settings.log),
            archive.store,
            archive.worker,
            bodies=record.bodies,
            body_limit=record.body_limit,
            redactor=redactor,
        ),
    ]


class Gateway:
    """A running gateway: two ports, and all that is behind them."""

    def __init__(
        self,
        settings: Settings,
        providers: Providers,
        secrets: Mapping[str, str],
        features: Sequence[Stage] = (),
        reread: Reread | None = None,
    ) -> None:
        """``features``: stages of an embedder, between ours that admit and ours that record.

        ``reread``: reads all three anew when their file has changed; without it they stay.
        """
        self.settings = settings
        self.providers = providers
        self.secrets = secrets
        self.keyring = load_keyring(settings)
        self._registry = Registry()
        self._archive = _archive(settings, self.keyring, self._text_of)
        source = DatabaseSource(self._archive.database)
        self._refresh = Refresh(settings, providers, secrets, self.keyring, source=source, reread=reread)
        self._watchdog = Watchdog(settings.keepalive, settings.client_stall)
        watches = self._watchdog.watches
        self._upstream = Upstream(
            settings.timeouts, {name: own.timeouts for name, own in settings.providers.items()}
        )
        kept = settings.record.body_limit if settings.record.bodies or settings.record.redact else 0
        self._asking = asking = Asking(settings, self._refresh.snapshots, self._upstream, kept)
        stages = make_stages(
            settings,
            self._refresh.snapshots,
            self.keyring,
            features,
            self._archive,
            self._registry,
            lambda: bool(watches),
            asking.complete,
        )
        pipeline = Pipeline(stages)
        self._recorder = Recorder(pipeline.done, pipeline.started, lambda: self._archive.waiting)
        asking.bind(pipeline, self._recorder)
        (log,) = (stage for stage in stages if isinstance(stage, InteractionLog))
        discoveries = [stage for stage in stages if isinstance(stage, ToolDiscovery)]
        vitals.expose(
            self._registry,
            self._watchdog,
            self._recorder,
            self._archive,
            log.counts,
            lambda: sum(discovery.unfit for discovery in discoveries),
        )
        self._health = Health()
        self._proxy = Proxy(
            Parts(
                settings,
                pipeline,
                self._upstream,
                self._recorder,
                self._watchdog,
                asyncio.get_running_loop(),
                kept=kept,
            ),
            self._refresh.snapshots,
            self._health,
        )
        self._servers: list[tuple[Server, asyncio.Server]] = []
        self.url = ""
        """Where the proxy listens."""
        self.console_url = ""

    async def start(self) -> None:
        """Listen on both ports; raise ``SettingsError`` for one that can't be had."""
        _raise_file_limit()
        try:
            await self._archive.open()
        except DatabaseUnusable as error:
            raise SettingsError(f"{self.settings.place('database_url')}{error}") from None
        await self._upstream.open()
        self._recorder.start()
        self._watchdog.start()
        await self._refresh.start()
        settings = self.settings
        console = make_console(
            ConsoleParts(
                settings=settings,
                health=self._health,
                registry=self._registry,
                snapshots=self._refresh.snapshots,
                keyring=self.keyring,
                secrets=self.secrets,
                database=self._archive.database,
                look=self._refresh.look,
            )
        )
        try:
            self.url = await self._listen(make_server(self._proxy.handle), settings.host, settings.port)
            self.console_url = await self._listen(
                make_server(console.handle, HEADERS, cancels=False),
                settings.console_host,
                settings.console_port,
            )
        except SettingsError:
            await self._close()
            raise
        _settle_memory()
        self._health.ready = True
        _log.info("listening", proxy=self.url, console=self.console_url)

    async def _listen(self, server: Server, host: str, port: int) -> str:
        try:
            listener = await asyncio.get_running_loop().create_server(server, host, port, backlog=_BACKLOG)
        except OSError as error:
            raise SettingsError(
                f"can't listen on {host}:{port}: {error.strerror or error}; choose another with --port or --console-port"
            ) from None
        self._servers.append((server, listener))
        name = f"[{host}]" if ":" in host else host
        return f"http://{name}:{listener.sockets[0].getsockname()[1]}"

    async def stop(self, hurry: asyncio.Event) -> None:
        """Drain: fail readiness, accept a while, let answers finish, end the rest, flush.

        ``hurry``: when set, nothing more is waited for.
        """
        drain = self.settings.drain
        self._health.ready = False
        _log.info("draining", in_flight=len(self._watchdog.watches))
        await _wait(hurry, drain.accept)
        for server, listener in self._servers[:1]:
            listener.close()
            server.pre_shutdown()
        end = monotonic() + drain.finish
        while self._watchdog.watches and monotonic() < end and not hurry.is_set():
            await _wait(hurry, 0.05)
        self._asking.draining = True
        self._watchdog.interrupt_all()
        end = monotonic() + _LAST_WORDS
        while self._watchdog.watches and monotonic() < end:
            await _wait(asyncio.Event(), 0.02)
        await self._close()
        _log.info("stopped")

    def _text_of(self, found: Unread) -> str:
        """Return the text by which a stored interaction is found."""
        providers = self._refresh.snapshots.current.providers
        said = Recollection(providers, found.record, found.request, found.response).searchable(SEARCHED)
        return said.encode(errors="replace").decode()

    async def _close(self) -> None:
        for server, listener in self._servers:
            listener.close()
            await server.shutdown(1.0)
        self._refresh.stop()
        try:
            await self._recorder.close()
        except TimeoutError:
            _log.error("not all interactions could be stored in time", lost=self._recorder.pending)
        await self._archive.close()
        self._watchdog.stop()
        await self._upstream.close()


def _archive(settings: Settings, keyring: Keyring, text_of: TextOf) -> Archive:
    folder = Path(settings.state_dir)
    try:
        return Archive(
            Database(settings.database, keyring.bodies), folder, settings.record.retention, text_of
        )
    except DatabaseUnusable as error:
        raise SettingsError(f"{settings.place('database_url')}{error}") from None


async def _wait(hurry: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await hurry.wait()
    except TimeoutError:
        return


def _settle_memory() -> None:
    """Collect garbage seldom: what exists by now stays, and a request makes hardly any cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _raise_file_limit() -> None:
    """Allow as many open sockets as the system does: two per request add up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def warnings(
    settings: Settings, providers: Providers, environment: Mapping[str, str] = os.environ
) -> Iterator[str]:
    """Return what an operator set in vain."""
    yield from configuration.without_effect(settings)
    for name, suggestion in configuration.unknown_variables(environment, providers):
        yield f"unknown variable {name}{suggestion}"


def warn(settings: Settings, providers: Providers) -> None:
    """Log what an operator set in vain."""
    for warning in warnings(settings, providers):
        _log.warning(warning)
