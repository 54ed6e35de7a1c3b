"""Logging: structlog to standard error, as JSON for machines or in colours for people.

Logs of libraries (uvicorn, arq) take the same way. A processor blanks whatever looks like a credential, so
that no secret reaches a log by accident.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

from image2model.telemetry import tracing

_SECRET_NAME: Final = re.compile(
    r"(?i)(authorization|api_?key|admin_?key|fal_key|secret|password|token|cookie)$"
)
_SECRET_TEXT: Final = re.compile(r"(?i)\b(bearer|key)\s+[\w:.\-]{8,}|(://[^/\s:@]*:)[^@\s/]+(?=@)")


def configure(*, level: str, json: bool, process: str) -> None:
    """Send all logs to standard error. `process` is bound to each line (`api`, `worker`, `up`)."""
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
    renderer: Any = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
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
