"""One span for each request, named by OpenTelemetry's conventions for HTTP servers.

Names and attributes hold the route's template, never a path, a query or a header, because these contain ids
and tokens. The span of an event stream ends when the stream begins, because the client decides how long it
stays. Health checks and scrapes have no span.
"""

from functools import partial
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from image2model.api.middleware.access_log import METHODS, UNMATCHED, endpoint, is_event_stream
from image2model.api.middleware.answer import Answer, Head
from image2model.telemetry import tracing

_UNTRACED: Final = frozenset({"/metrics", "/api/v1/health/live", "/api/v1/health/ready"})
_HEADER: Final = b"traceparent"
_OTHER: Final = "HTTP"
"""The span's name for an unknown method."""


class RequestSpan:
    """Continues the caller's `traceparent`, if there is one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _UNTRACED:
            await self.app(scope, receive, send)
            return
        with tracing.span(
            _name(scope), kind=tracing.Kind.SERVER, attributes=_attributes(scope), parent=_parent(scope)
        ) as span:
            answer = Answer.of(send)
            answer.on_head(partial(_complete, span, scope, scope.get("root_path", "")))
            await self.app(scope, receive, answer)


def _complete(span: tracing.Span, scope: Scope, mounted_at: str, head: Head) -> None:
    _set_response(span, scope, endpoint(scope, mounted_at), head["status"])
    if is_event_stream(head):
        span.end()


def _set_response(span: tracing.Span, scope: Scope, template: str, status: int) -> None:
    if template != UNMATCHED:
        span.rename(f"{_name(scope)} {template}")
        span.set("http.route", template)
    span.set("http.response.status_code", status)
    if status >= 500:
        span.fail(str(status))


def _name(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in METHODS else _OTHER


def _attributes(scope: Scope) -> tracing.Attributes:
    method: str = scope["method"]
    return {
        "http.request.method": method if method in METHODS else "_OTHER",
        "url.scheme": scope["scheme"],
        "network.protocol.version": scope["http_version"],
    }


def _parent(scope: Scope) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == _HEADER), "")
