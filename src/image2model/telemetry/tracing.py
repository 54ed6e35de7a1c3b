"""Traces: what the service does, as spans that go to `I2M_OTEL_ENDPOINT`, and nowhere without one.

Who calls it: a process starts and stops it; every layer opens spans without asking whether anybody wants
them. Until `start` all of it does nothing, and OpenTelemetry is not imported. A span never has an id in its
name, nor a URL, a credential or the text of an error in an attribute.
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
    """One piece of work, current for the length of a `with` block; what is opened in it is its child.

    An exception that leaves the block is noted by its class, unless it was expected or is a cancellation.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def set(self, name: str, value: Value) -> None:
        """An attribute."""

    def rename(self, name: str) -> None:
        """A better name, once it is known."""

    def event(self, name: str) -> None:
        """Something that happened just now."""

    def fail(self, error_type: str) -> None:
        """It failed; `error_type` is a word out of a small set."""

    def end(self) -> None:
        """Over before its block is."""


class Tracer(Protocol):
    """What makes spans: nothing, or OpenTelemetry."""

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
    """Nobody wants to know."""

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
    """Trace from now on, where there is an endpoint. `process`: `api` or `worker`.

    The settings have found OpenTelemetry to be installed.
    """
    global _tracer
    if endpoint is None:
        return
    from image2model.telemetry.otlp import OtlpTracer

    _tracer = OtlpTracer(endpoint, process=process)


def stop() -> None:
    """Send what is left, for a second at most; from now on nothing is traced."""
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
    """A span to open by `with`. `parent`: a W3C traceparent to go on with, else the span that is open.

    `expected`: exceptions that are no failure of it.
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
    """A span that ends now and began `seconds` ago, under the one that is open; without one, nothing."""
    _tracer.record(name, seconds, kind, attributes, error_type)


def traceparent() -> str:
    """The open span as a W3C traceparent, for whoever goes on elsewhere; empty without one."""
    return _tracer.traceparent()


def ids() -> tuple[str, str] | None:
    """The open span's trace id and its own, in hexadecimal; None without one."""
    return _tracer.ids()
