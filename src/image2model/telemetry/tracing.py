"""Traces: spans of what the service does, sent to `I2M_OTEL_ENDPOINT` if it is set.

Every package opens spans without checking whether tracing is on. Until `start` nothing is traced, and
OpenTelemetry is not imported. A span's name never has an id; its attributes never have a URL, a credential or
the text of an error.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import TracebackType
from typing import Final, Protocol, Self

Value = str | int | float | bool
Attributes = Mapping[str, Value]

OUTCOME: Final = "image2model.outcome"
JOB_ID: Final = "image2model.job_id"
IMAGE_ID: Final = "image2model.image_id"
MODEL: Final = "image2model.model"


class Kind(StrEnum):
    """Whose work it is: OpenTelemetry's span kinds."""

    INTERNAL = "INTERNAL"
    SERVER = "SERVER"
    CLIENT = "CLIENT"
    CONSUMER = "CONSUMER"


class Span(Protocol):
    """One piece of work, open during a `with` block; spans opened inside are its children.

    An exception that leaves the block is recorded by its class, unless it is expected or a cancellation.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def set(self, name: str, value: Value) -> None:
        """Set an attribute."""

    def rename(self, name: str) -> None:
        """Change the name, once a better one is known."""

    def event(self, name: str) -> None:
        """Record an event that happens now."""

    def fail(self, error_type: str) -> None:
        """Mark the span as failed; `error_type` is one of a small set of words."""

    def end(self) -> None:
        """End the span before its block ends."""


class Tracer(Protocol):
    """Makes spans: either OpenTelemetry, or a tracer that does nothing."""

    def span(
        self,
        name: str,
        kind: Kind,
        attributes: Attributes,
        parent: str,
        expected: tuple[type[Exception], ...],
    ) -> Span: ...

    def record(
        self, name: str, seconds: float, kind: Kind, attributes: Attributes, error_type: str | None
    ) -> None: ...

    def traceparent(self) -> str: ...

    def ids(self) -> tuple[str, str] | None: ...

    def stop(self) -> None: ...


class _NoSpan:
    """A span that does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def set(self, name: str, value: Value) -> None: ...

    def rename(self, name: str) -> None: ...

    def event(self, name: str) -> None: ...

    def fail(self, error_type: str) -> None: ...

    def end(self) -> None: ...


class _NoTracer:
    _span: Final = _NoSpan()

    def span(
        self,
        name: str,  # noqa: ARG002 - the protocol's
        kind: Kind,  # noqa: ARG002
        attributes: Attributes,  # noqa: ARG002
        parent: str,  # noqa: ARG002
        expected: tuple[type[Exception], ...],  # noqa: ARG002
    ) -> Span:
        return self._span

    def record(
        self, name: str, seconds: float, kind: Kind, attributes: Attributes, error_type: str | None
    ) -> None: ...

    def traceparent(self) -> str:
        return ""

    def ids(self) -> tuple[str, str] | None:
        return None

    def stop(self) -> None: ...


_NOTHING: Final[Attributes] = {}
_OFF: Final[Tracer] = _NoTracer()
_tracer: Tracer = _OFF


def start(endpoint: str | None, *, process: str) -> None:
    """Start tracing if there is an endpoint. `process` is `api` or `worker`.

    The settings have checked that OpenTelemetry is installed.
    """
    global _tracer
    if endpoint is None:
        return
    from image2model.telemetry.otlp import OtlpTracer

    _tracer = OtlpTracer(endpoint, process=process)


def stop() -> None:
    """Stop tracing, and send the remaining spans for at most a second."""
    global _tracer
    stopped, _tracer = _tracer, _OFF
    stopped.stop()


def span(
    name: str,
    *,
    kind: Kind = Kind.INTERNAL,
    attributes: Attributes = _NOTHING,
    parent: str = "",
    expected: tuple[type[Exception], ...] = (),
) -> Span:
    """A span to open with `with`. `parent`: a W3C traceparent to continue, else the open span.

    `expected`: exceptions that do not mark the span as failed.
    """
    return _tracer.span(name, kind, attributes, parent, expected)


def record(
    name: str,
    seconds: float,
    *,
    kind: Kind = Kind.INTERNAL,
    attributes: Attributes = _NOTHING,
    error_type: str | None = None,
) -> None:
    """Record a span that ends now and began `seconds` ago, as a child of the open span, if there is one."""
    _tracer.record(name, seconds, kind, attributes, error_type)


def traceparent() -> str:
    """The open span as a W3C traceparent, to continue it in another process; empty without one."""
    return _tracer.traceparent()


def ids() -> tuple[str, str] | None:
    """The open span's trace id and its own, in hexadecimal; None without one."""
    return _tracer.ids()
