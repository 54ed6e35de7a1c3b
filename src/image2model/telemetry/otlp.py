"""Spans by OpenTelemetry's SDK, exported over OTLP/HTTP by a thread.

Only `tracing.start` imports this module, because OpenTelemetry is an optional package. It never blocks the
event loop: an ended span goes into a bounded queue, and a full queue drops it.
"""

import logging
import threading
import time
from contextvars import Token
from types import TracebackType
from typing import Final, Self

import structlog
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from image2model import __version__
from image2model.telemetry.tracing import Attributes, Kind, Value

_log = structlog.stdlib.get_logger(__name__)
_FLUSH_S: Final = 1.0
"""Seconds that the stop of a process waits for the last spans."""
_PATH: Final = "/v1/traces"
_ERROR_TYPE: Final = "error.type"
_propagator: Final = TraceContextTextMapPropagator()
_LOG_EVERY_S: Final = 60.0
_ROOT: Final = "opentelemetry"


class OtlpSpan:
    """See `tracing.Span`."""

    def __init__(self, span: trace.Span, expected: tuple[type[Exception], ...]) -> None:
        self._span = span
        self._expected = expected
        self._token: Token[Context] | None = None

    def __enter__(self) -> Self:
        self._token = contexts.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._token is not None:
            contexts.detach(self._token)
        if isinstance(error, Exception) and not isinstance(error, self._expected):
            self.fail(type(error).__name__)
        self.end()

    def set(self, name: str, value: Value) -> None:
        """Set an attribute."""
        self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        """Change the name."""
        self._span.update_name(name)

    def event(self, name: str) -> None:
        """Record an event that happens now."""
        self._span.add_event(name)

    def fail(self, error_type: str) -> None:
        """Mark the span as failed. The error's text stays in the log, because it may be confidential."""
        self._span.set_attribute(_ERROR_TYPE, error_type)
        self._span.set_status(StatusCode.ERROR)

    def end(self) -> None:
        """End the span; a second call does nothing."""
        if self._span.is_recording():
            self._span.end()


class OtlpTracer:
    """See `tracing.Tracer`. The SDK's own variables (`OTEL_…`) choose sampling, headers and batches."""

    def __init__(self, endpoint: str, *, process: str) -> None:
        log_sdk_warnings()
        url = endpoint if endpoint.endswith(_PATH) else endpoint + _PATH
        self._provider = TracerProvider(resource=_resource(process), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url)))
        self._tracer = self._provider.get_tracer("image2model", __version__)

    def span(
        self,
        name: str,
        kind: Kind,
        attributes: Attributes,
        parent: str,
        expected: tuple[type[Exception], ...],
    ) -> OtlpSpan:
        """Start a span."""
        above = _propagator.extract({"traceparent": parent}) if parent else None
        started = self._tracer.start_span(name, above, SpanKind[kind.value], dict(attributes))
        return OtlpSpan(started, expected)

    def record(
        self, name: str, seconds: float, kind: Kind, attributes: Attributes, error_type: str | None
    ) -> None:
        """Record a span that ends now."""
        if not trace.get_current_span().get_span_context().is_valid:
            return
        started_ns = time.time_ns() - int(seconds * 1e9)
        span = OtlpSpan(
            self._tracer.start_span(
                name, None, SpanKind[kind.value], dict(attributes), start_time=started_ns
            ),
            (),
        )
        if error_type is not None:
            span.fail(error_type)
        span.end()

    def traceparent(self) -> str:
        """The open span as a W3C traceparent."""
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        return carrier.get("traceparent", "")

    def ids(self) -> tuple[str, str] | None:
        """(trace id, span id) in hexadecimal."""
        current = trace.get_current_span().get_span_context()
        if not current.is_valid:
            return None
        return trace.format_trace_id(current.trace_id), trace.format_span_id(current.span_id)

    def stop(self) -> None:
        """Flush in a thread, because the SDK may take half a minute; what is not sent in time is lost."""
        flushing = threading.Thread(target=self._provider.shutdown, name="last-traces", daemon=True)
        flushing.start()
        flushing.join(_FLUSH_S)
        if flushing.is_alive():
            _log.info("last_traces_not_delivered")


def _resource(process: str) -> Resource:
    """The process as a resource; `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` take precedence."""
    ours = Resource.create(
        {
            "service.namespace": "image2model",
            "service.name": f"image2model-{process}",
            "service.version": __version__,
        }
    )
    return ours.merge(OTELResourceDetector().detect())


def log_sdk_warnings() -> None:
    """Send the warnings of all OpenTelemetry loggers through `_SdkWarnings`."""
    library = logging.getLogger(_ROOT)
    library.handlers[:] = [_SdkWarnings()]
    library.propagate = False


class _SdkWarnings(logging.Handler):
    """Logs one warning a minute, with the number of warnings suppressed before it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._silent_until = 0.0
        self._suppressed = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Called under the handler's lock, from any thread."""
        now = time.monotonic()
        if now < self._silent_until:
            self._suppressed += 1
            return
        _log.warning("traces_not_delivered", reason=record.getMessage(), suppressed_before=self._suppressed)
        self._silent_until, self._suppressed = now + _LOG_EVERY_S, 0
