"""Logging: structlog to a standard stream, as JSON for machines or in colours for people, and to files.

Logs of libraries (uvicorn, arq) take the same way. A processor blanks whatever looks like a credential, so
that no secret reaches a log by accident.
"""

import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from image2model.telemetry import tracing
from image2model.telemetry.log_files import LogFileHandler, LogFiles, open_log_file

_SECRET_NAME: Final = re.compile(
    r"(?i)(authorization|api_?key|admin_?key|fal_key|secret|password|token|cookie)$"
)
_SECRET_TEXT: Final = re.compile(r"(?i)\b(bearer|key)\s+[\w:.\-]{8,}|(://[^/\s:@]*:)[^@\s/]+(?=@)")


class LogSettings(Protocol):
    """The settings of logs; `Settings` has them."""

    @property
    def log_level(self) -> str: ...
    @property
    def log_format(self) -> str: ...
    @property
    def log_stream(self) -> str: ...
    @property
    def log_dir(self) -> Path | None: ...
    @property
    def log_file_size(self) -> int: ...
    @property
    def log_file_count(self) -> int: ...


def configure(settings: LogSettings, process: str) -> None:
    """Send all logs where the settings say. `process` (`api`, `worker`) is bound to lines, and names files.

    Again replaces what was before. Raises ConfigurationError where the folder of files cannot be written.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        add_trace_ids,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.format_exc_info,
        blank_secrets,
    ]
    root = logging.getLogger()
    for before in root.handlers:
        if isinstance(before, LogFileHandler):
            before.close()  # it holds its number
    root.handlers[:] = _handlers(settings, process, shared)
    root.setLevel(settings.log_level.upper())
    for noisy in ("arq.worker", "httpx", "httpcore", "aiohttp.access", "uvicorn.access", "PIL", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)


def _handlers(settings: LogSettings, process: str, shared: list[Any]) -> Iterator[logging.Handler]:
    def formatter(renderer: Any) -> structlog.stdlib.ProcessorFormatter:
        return structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )

    json = structlog.processors.JSONRenderer()
    if settings.log_stream != "none":
        stream = logging.StreamHandler(sys.stdout if settings.log_stream == "stdout" else sys.stderr)
        console = settings.log_format == "console"
        stream.setFormatter(formatter(structlog.dev.ConsoleRenderer() if console else json))
        yield stream
    if settings.log_dir is not None:
        files = LogFiles(settings.log_dir, settings.log_file_size, settings.log_file_count)
        file = open_log_file(files, process)
        file.setFormatter(formatter(json))
        yield file


def add_trace_ids(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the ids of the open span, so that a log line leads to its trace."""
    if found := tracing.ids():
        event["trace_id"], event["span_id"] = found
    return event


def blank_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blank values whose name or form is that of a credential."""
    for name, value in event.items():
        if _SECRET_NAME.search(name):
            event[name] = "[secret]"
        elif isinstance(value, str):
            event[name] = _SECRET_TEXT.sub(lambda found: f"{found[2] or found[1] + ' '}[secret]", value)
    return event
