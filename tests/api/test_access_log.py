"""Requests are counted under their route's template, never under an id."""

import http.client
import logging
from collections.abc import Iterator

import pytest
import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send
from structlog.testing import LogCapture

from image2model.api.application import Application
from image2model.api.middleware import AccessLog, ProblemAnswers, RequestId
from image2model.api.protocol import AbortableProtocol
from image2model.events.send_buffer import SEND_BUFFER
from tests.support.servers import Address, serving
from tests.support.upload_edge import eventually


class World:
    """A served application and what it counted."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "http_requests", "r", ["method", "endpoint", "status"], registry=self.registry
        )
        self.duration = Histogram(
            "http_request_duration_seconds", "d", ["method", "endpoint"], registry=self.registry
        )
        self.log = LogCapture()
        self.address = Address("", 0)

    def app(self) -> Application:
        return Application(
            [
                Mount(
                    "/api/v1", routes=[Route("/status/{job_id}", job), Route("/stream/{job_id}", Stream())]
                ),
                Route("/files/{token:path}", job),
                Route("/broken", broken),
                Route("/direct", Direct()),
            ],
            layers=[
                Middleware(RequestId),
                Middleware(AccessLog, requests=self.requests, duration=self.duration),
                Middleware(ProblemAnswers),
            ],
        )

    def ask(self, path: str, method: str = "GET") -> int:
        connection = http.client.HTTPConnection(self.address.host, self.address.port, timeout=60)
        connection.request(method, path)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    def count(self, method: str, endpoint: str, status: str) -> float | None:
        labels = {"method": method, "endpoint": endpoint, "status": status}
        return self.registry.get_sample_value("http_requests_total", labels)

    def timed(self, method: str, endpoint: str) -> float | None:
        labels = {"method": method, "endpoint": endpoint}
        return self.registry.get_sample_value("http_request_duration_seconds_count", labels)


async def job(_request: Request) -> Response:
    return PlainTextResponse("job")


async def broken(_request: Request) -> Response:
    raise RuntimeError


class Stream:
    """An event stream that ends when its client leaves."""

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b": hello\n\n", "more_body": True})
        await receive()
        assert (await receive())["type"] == "http.disconnect"


class Direct:
    """An event stream of which a part goes past the layers."""

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        assert scope[SEND_BUFFER].write_now(b"12345")
        await send({"type": "http.response.body", "body": b"678"})


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, world.log])
    own = logging.getLogger("image2model.api.middleware.access_log")
    own.setLevel(logging.DEBUG)
    with serving(world.app(), http=AbortableProtocol) as world.address:
        yield world
    structlog.reset_defaults()
    own.setLevel(logging.NOTSET)


def test_requests_are_counted_by_template(world: World) -> None:
    for job_id in ("a1", "b2", "c3"):
        assert world.ask(f"/api/v1/status/{job_id}") == 200
    assert world.count("GET", "/api/v1/status/{job_id}", "200") == 3
    assert world.timed("GET", "/api/v1/status/{job_id}") == 3


@pytest.mark.parametrize(
    ("path", "method", "labels"),
    [
        ("/api/v1/status/a1", "DELETE", ("DELETE", "/api/v1/status/{job_id}", "405")),
        ("/api/v1/nothing/a1", "GET", ("GET", "unmatched", "404")),
        ("/nothing", "GET", ("GET", "unmatched", "404")),
        ("/broken", "GET", ("GET", "/broken", "500")),
        ("/nothing", "PROPFIND", ("other", "unmatched", "404")),
    ],
)
def test_refusals_are_counted_too(world: World, path: str, method: str, labels: tuple[str, str, str]) -> None:
    world.ask(path, method)
    assert world.count(*labels) == 1


def test_a_stream_is_counted_while_it_is_open_and_once(world: World) -> None:
    with world.address.connect() as raw:
        raw.sendall(b"GET /api/v1/stream/a1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"text/event-stream" in raw.recv(4096)
        assert world.count("GET", "/api/v1/stream/{job_id}", "200") == 1
        assert world.timed("GET", "/api/v1/stream/{job_id}") == 1
    eventually(lambda: bool(world.log.entries), "its end is logged")
    assert world.count("GET", "/api/v1/stream/{job_id}", "200") == 1
    assert world.timed("GET", "/api/v1/stream/{job_id}") == 1


def test_the_log_line_counts_what_went_past_the_layers(world: World) -> None:
    with world.address.connect() as raw:
        raw.sendall(b"GET /direct HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with raw.makefile("rb") as answer:
            _, _, body = answer.read().partition(b"\r\n\r\n")
    assert body == b"5\r\n12345\r\n3\r\n678\r\n0\r\n\r\n"
    eventually(lambda: bool(world.log.entries), "the request is logged")
    [line] = world.log.entries
    assert line["bytes"] == 8


def test_the_log_line_tells_the_request_and_no_secret(world: World) -> None:
    world.ask("/files/very-secret-token?key=another-secret")
    eventually(lambda: bool(world.log.entries), "the request is logged")
    [line] = world.log.entries
    assert line["event"] == "request"
    assert (line["method"], line["endpoint"], line["status"]) == ("GET", "/files/{token}", 200)
    assert len(line["request_id"]) == 32
    assert "secret" not in repr(line)
