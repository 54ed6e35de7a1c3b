"""Spans by OpenTelemetry's SDK, exported over OTLP/HTTP by a thread of its own.

Who calls it: `tracing.start`, and nobody else imports it: OpenTelemetry is an optional package. It never
blocks the event loop: a span that ends is put into a bounded queue, and a queue that is full drops it.
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
"""How long the end of a process waits for the last spans."""
_PATH: Final = "/v1/traces"
_ERROR_TYPE: Final = "error.type"
_propagator: Final = TraceContextTextMapPropagator()


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
        """An attribute."""
        self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        """A better name."""
        self._span.update_name(name)

    def event(self, name: str) -> None:
        """Something that happened just now."""
        self._span.add_event(name)

    def fail(self, error_type: str) -> None:
        """It failed. The text of an error stays in the log: it may hold what nobody else should see."""
        self._span.set_attribute(_ERROR_TYPE, error_type)
        self._span.set_status(StatusCode.ERROR)

    def end(self) -> None:
        """Over; asked again, nothing."""
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
        """A span that has begun."""
        above = _propagator.extract({"traceparent": parent}) if parent else None
        begun = self._tracer.start_span(name, above, SpanKind[kind.value], dict(attributes))
        return OtlpSpan(begun, expected)

    def record(
        self, name: str, seconds: float, kind: Kind, attributes: Attributes, error_type: str | None
    ) -> None:
        """A span that ends now."""
        if not trace.get_current_span().get_span_context().is_valid:
            return
        began = time.time_ns() - int(seconds * 1e9)
        span = OtlpSpan(
            self._tracer.start_span(name, None, SpanKind[kind.value], dict(attributes), start_time=began), ()
        )
        if error_type is not None:
            span.fail(error_type)
        span.end()

    def traceparent(self) -> str:
        """The open span as W3C says it."""
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
        """Flush beside, because the SDK may take half a minute for it; what is not sent in time is lost."""
        flushing = threading.Thread(target=self._provider.shutdown, name="last-traces", daemon=True)
        flushing.start()
        flushing.join(_FLUSH_S)
        if flushing.is_alive():
            _log.info("last_traces_not_delivered")


def _resource(process: str) -> Resource:
    """Which process this is; the operator's `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win."""
    ours = Resource.create(
        {
            "service.namespace": "image2model",
            "service.name": f"image2model-{process}",
            "service.version": __version__,
        }
    )
    return ours.merge(OTELResourceDetector().detect())


_EVERY_S: Final = 60.0
_ROOT: Final = "opentelemetry"


class _SdkWarnings(logging.Handler):
    """The first of a minute is told, with the number of those before it that were not."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._quiet_until = 0.0
        self._untold = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Called under the handler's lock, from any thread."""
        now = time.monotonic()
        if now < self._quiet_until:
            self._untold += 1
            return
        _log.warning("traces_not_delivered", reason=record.getMessage(), complaints_before=self._untold)
        self._quiet_until, self._untold = now + _EVERY_S, 0


def log_sdk_warnings() -> None:
    """From now on all loggers of OpenTelemetry end here."""
    library = logging.getLogger(_ROOT)
    library.handlers[:] = [_SdkWarnings()]
    library.propagate = False
