"""The log on standard output: JSON lines, or lines for people on a terminal."""

import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson
import structlog

from gateway.settings import Log

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(log: Log, stream: TextIO = sys.stdout) -> None:
    """Set up ``structlog`` and the standard library's logging, on which aiohttp and asyncio report."""
    pretty = log.format == "console" or (log.format == "auto" and stream.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if pretty
        else structlog.processors.JSONRenderer(serializer=_dumps)
    )
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, *([] if pretty else [structlog.processors.format_exc_info]), renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[log.level]),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *([] if pretty else [structlog.processors.format_exc_info]),
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(_LEVELS[log.level], logging.WARNING))


def _dumps(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=str).decode()


class InteractionWriter:
    """Writes the records of finished interactions, one line each and one write per batch."""

    def __init__(self, log: Log) -> None:
        self._pretty = log.format == "console" or (log.format == "auto" and sys.stdout.isatty())
        self._silent = _LEVELS[log.level] > _LEVELS["info"]
        self._render = structlog.dev.ConsoleRenderer()

    def __call__(self, records: Sequence[dict[str, Any]]) -> None:
        """Write one batch."""
        if self._silent:
            return
        for record in records:
            started = datetime.fromtimestamp(record["started_at"], UTC)
            record |= {"event": "interaction", "level": "info", "timestamp": started, "started_at": started}
        if self._pretty:
            sys.stdout.write("".join(map(self._line, records)))
        else:
            sys.stdout.write(b"".join(map(_json_line, records)).decode())
        sys.stdout.flush()

    def _line(self, record: dict[str, Any]) -> str:
        shown = {key: value for key, value in record.items() if value not in (None, "", 0)}
        shown["timestamp"] = shown.pop("started_at").isoformat(timespec="milliseconds")
        return f"{self._render(None, 'info', shown)}\n"


def _json_line(record: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(record, option=_OPTIONS)
    except TypeError:  # text that is not UTF-8: whatever a client sent must not cost the others their lines
        readable = {key: _readable(value) for key, value in record.items()}
        return orjson.dumps(readable, option=_OPTIONS, default=str)


_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z


def _readable(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
