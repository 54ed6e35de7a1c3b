"""One log line and two metrics for each request.

Labels and log lines hold the route's template, never an id, a query or a path, because paths can be secret
(file tokens). A request is counted when its answer begins, so open event streams are counted too. Its
duration ends with the answer; an event stream's duration ends with its beginning, and the time of a
`Prefer: wait` is left out, because the client decides how long it stays. A successful read is logged at
`debug` only: clients poll, and the line would cost more than the answer.
"""

import logging
from time import perf_counter
from typing import Final

import structlog
from prometheus_client import Counter, Histogram
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from image2model.api.middleware.answer import Answer, Head
from image2model.events.send_buffer import written_directly
from image2model.http.bodies import WAITED

_log: Final = structlog.stdlib.get_logger(__name__)
_enabled: Final = logging.getLogger(__name__).isEnabledFor
_READS: Final = frozenset({"GET", "HEAD"})
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_STREAM: Final = b"text/event-stream"
UNMATCHED: Final = "unmatched"
CLIENT_GONE: Final = 499
"""Status of a request whose client disconnected before the answer began (nginx's convention)."""


class AccessLog:
    """`requests` has the labels method, endpoint, status; `duration` (seconds) method, endpoint.

    Mounts must have constant prefixes, so that no id gets into a label.
    """

    def __init__(self, app: ASGIApp, *, requests: Counter, duration: Histogram) -> None:
        self.app = app
        self._series = _Series(requests, duration)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = Answer.of(send)
        exchange = _Exchange(scope, answer, self._series)
        answer.on_head(exchange.begin)
        try:
            await self.app(scope, receive, answer)
        finally:
            exchange.end()


def endpoint(scope: Scope, mounted_at: str = "") -> str:
    """The template of the request's route, with its mount's prefix, or `unmatched`.

    `mounted_at` is the root path of the application itself, which is not part of the template.
    """
    route = scope.get("route")
    if not isinstance(route, Route):
        return UNMATCHED
    prefix: str = scope.get("root_path", "").removeprefix(mounted_at)
    return prefix + route.path_format


def is_event_stream(head: Head) -> bool:
    """Whether this message begins an event stream."""
    return any(name == b"content-type" and value.startswith(_STREAM) for name, value in head["headers"])


class _Exchange:
    """One request and its answer."""

    __slots__ = ("_answer", "_mounted_at", "_observed", "_scope", "_series", "_started", "_status")

    def __init__(self, scope: Scope, answer: Answer, series: "_Series") -> None:
        self._scope = scope
        self._answer = answer
        self._mounted_at: str = scope.get("root_path", "")
        self._series = series
        self._started = perf_counter()
        self._status: int | None = None
        self._observed = False

    def begin(self, head: Head) -> None:
        """The answer begins."""
        self._count(head["status"])
        if is_event_stream(head):
            self._observe()

    def end(self) -> None:
        """The application has finished the request, with or without an answer."""
        if self._status is None:
            self._count(CLIENT_GONE)
        if not self._observed:
            self._observe()
        level = self._level
        if not _enabled(level):
            return
        waited = {"waited": round(self._waited, 6)} if self._waited else {}
        _log.log(
            level,
            "request",
            method=self._scope["method"],
            endpoint=self._endpoint,
            status=self._status,
            seconds=round(self._elapsed, 6),
            bytes=self._answer.sent + written_directly(self._scope),
            client=(self._scope.get("client") or ("",))[0],
            **waited,
        )

    @property
    def _level(self) -> int:
        read = self._scope["method"] in _READS and self._status is not None and self._status < 400
        return logging.DEBUG if read else logging.INFO

    @property
    def _elapsed(self) -> float:
        return perf_counter() - self._started - self._waited

    @property
    def _waited(self) -> float:
        seconds: float = self._scope.get(WAITED, 0.0)
        return seconds

    @property
    def _endpoint(self) -> str:
        return endpoint(self._scope, self._mounted_at)

    @property
    def _method(self) -> str:
        return self._scope["method"] if self._scope["method"] in METHODS else "other"

    def _count(self, status: int) -> None:
        self._status = status
        self._series.requests(self._method, self._endpoint, status).inc()

    def _observe(self) -> None:
        self._observed = True
        self._series.duration(self._method, self._endpoint).observe(self._elapsed)


class _Series:
    """The metrics' series by their labels. There are few: the routes' templates and their statuses."""

    def __init__(self, requests: Counter, duration: Histogram) -> None:
        self._requests = requests
        self._duration = duration
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._histograms: dict[tuple[str, str], Histogram] = {}

    def requests(self, method: str, template: str, status: int) -> Counter:
        """The counter of these labels."""
        found = self._counters.get((method, template, status))
        if found is None:
            found = self._requests.labels(method, template, str(status))
            self._counters[method, template, status] = found
        return found

    def duration(self, method: str, template: str) -> Histogram:
        """The histogram of these labels."""
        found = self._histograms.get((method, template))
        if found is None:
            found = self._histograms[method, template] = self._duration.labels(method, template)
        return found
