"""The log on standard output: JSON lines, or lines for people on a terminal."""

import logging
import sys
from collections.abc import Sequence
from typing import Any, TextIO

import msgspec
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
    """Writes the lines of finished interactions, which have their time in ``timestamp``; one write per batch."""

    def __init__(self, log: Log) -> None:
        self._pretty = log.format == "console" or (log.format == "auto" and sys.stdout.isatty())
        self._silent = _LEVELS[log.level] > _LEVELS["info"]
        self._render = structlog.dev.ConsoleRenderer()

    def __call__(self, lines: Sequence[msgspec.Struct]) -> None:
        """Write one batch."""
        if self._silent:
            return
        if self._pretty:
            sys.stdout.write(_readable("".join(map(self._line, lines))))
        else:
            sys.stdout.write(_json_lines(lines).decode())
        sys.stdout.flush()

    def _line(self, line: msgspec.Struct) -> str:
        shown = {
            key: value for key, value in msgspec.structs.asdict(line).items() if value not in (None, "", 0)
        }
        shown["timestamp"] = shown.pop("started_at").isoformat(timespec="milliseconds")
        return f"{self._render(None, 'info', shown)}\n"


_encoder = msgspec.json.Encoder(enc_hook=str)


def _json_lines(lines: Sequence[msgspec.Struct]) -> bytes:
    try:
        return _encoder.encode_lines(lines)
    except UnicodeEncodeError:  # whatever a client sent must not cost the others their lines
        return _encoder.encode_lines([_readable(msgspec.structs.asdict(line)) for line in lines])


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_readable(key): _readable(each) for key, each in value.items()}
    return [_readable(each) for each in value] if isinstance(value, (list, tuple)) else value
