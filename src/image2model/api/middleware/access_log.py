"""One log line and two metrics for each request.

Who calls it: the application. Labels and log lines hold the route's template, never an id, a query or a
path that could be a secret (file tokens are paths). A request is counted when its answer begins, so an
open event stream is counted too; its duration is the time to the end of the answer, for an event stream
the time to its beginning, because that one ends when the client pleases.
"""

from time import perf_counter
from typing import Final

import structlog
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log: Final = structlog.stdlib.get_logger(__name__)

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNMATCHED: Final = "unmatched"
CLIENT_GONE: Final = 499
"""The status noted for a request whose client left before an answer began (nginx's convention)."""


def endpoint(scope: Scope, mounted_at: str = "") -> str:
    """The template of the route that took the request, with its mount's prefix, or `unmatched`.

    `mounted_at` is the root path that the application itself runs under, which is not part of it.
    """
    route = scope.get("route")
    if not isinstance(route, Route):
        return UNMATCHED
    prefix: str = scope.get("root_path", "").removeprefix(mounted_at)
    return prefix + route.path_format


class AccessLog:
    """`requests` has the labels method, endpoint, status; `duration` (seconds) method, endpoint.

    Mounts must have constant prefixes, or an id would get into a label.
    """

    def __init__(self, app: ASGIApp, *, requests: Counter, duration: Histogram) -> None:
        self.app = app
        self.requests = requests
        self.duration = duration

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, self.requests, self.duration)
        try:
            await self.app(scope, receive, exchange.watch(send))
        finally:
            exchange.end()


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, requests: Counter, duration: Histogram) -> None:
        self._scope = scope
        self._mounted_at: str = scope.get("root_path", "")
        self._requests = requests
        self._duration = duration
        self._started = perf_counter()
        self._status: int | None = None
        self._observed = False
        self._sent = 0

    def watch(self, send: Send) -> Send:
        """A `send` that notes what goes out."""

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._begin(message)
            else:
                self._sent += len(message.get("body", b""))
            await send(message)

        return watched

    def _begin(self, start: Message) -> None:
        self._count(start["status"])
        if Headers(raw=start["headers"]).get("content-type", "").startswith("text/event-stream"):
            self._observe()

    def end(self) -> None:
        """The application is done with the request, whether or not it answered."""
        if self._status is None:
            self._count(CLIENT_GONE)
        if not self._observed:
            self._observe()
        _log.info(
            "request",
            method=self._scope["method"],
            endpoint=self._endpoint,
            status=self._status,
            seconds=round(self._elapsed, 6),
            bytes=self._sent,
            client=(self._scope.get("client") or ("",))[0],
        )

    @property
    def _elapsed(self) -> float:
        return perf_counter() - self._started

    @property
    def _endpoint(self) -> str:
        return endpoint(self._scope, self._mounted_at)

    @property
    def _method(self) -> str:
        return self._scope["method"] if self._scope["method"] in _METHODS else "other"

    def _count(self, status: int) -> None:
        self._status = status
        self._requests.labels(self._method, self._endpoint, str(status)).inc()

    def _observe(self) -> None:
        self._observed = True
        self._duration.labels(self._method, self._endpoint).observe(self._elapsed)
