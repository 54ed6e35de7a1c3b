"""What a client is told when something goes wrong, and what it is not told."""

import asyncio
import http.client
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest
import structlog
from redis.exceptions import ResponseError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from structlog.testing import LogCapture

from image2model.api.application import Application
from image2model.api.middleware import ProblemAnswers, RequestId, SecurityHeaders
from image2model.errors import FileFault, NotAnImage, QueueFull
from image2model.store.connection import StoreOutage
from tests.support.servers import Address, serving

SECRET = "password=hunter2"


async def fine(_request: Request) -> Response:
    return PlainTextResponse("fine")


async def broken(_request: Request) -> Response:
    raise RuntimeError(SECRET)


async def store_is_away(_request: Request) -> Response:
    raise StoreOutage(SECRET)


async def store_is_misused(_request: Request) -> Response:
    raise ResponseError(f"WRONGTYPE {SECRET}")


async def disk_is_broken(_request: Request) -> Response:
    raise OSError(SECRET)


async def full(_request: Request) -> Response:
    raise QueueFull.after("The queue is full. Try again later.", 7)


async def files(_request: Request) -> Response:
    raise NotAnImage("Bad.", errors=[FileFault("a.png", "not_an_image", "Bad.")])


async def teapot(_request: Request) -> Response:
    raise HTTPException(418, SECRET)


async def half(_request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"first piece"
        await asyncio.sleep(0)
        raise RuntimeError(SECRET)

    return StreamingResponse(pieces())


def app() -> Application:
    paths = {
        "/fine": fine,
        "/broken": broken,
        "/away": store_is_away,
        "/misused": store_is_misused,
        "/disk": disk_is_broken,
        "/full": full,
        "/files": files,
        "/teapot": teapot,
        "/half": half,
    }
    return Application(
        [Route(path, endpoint) for path, endpoint in paths.items()],
        layers=[Middleware(RequestId), Middleware(SecurityHeaders), Middleware(ProblemAnswers)],
    )


@pytest.fixture
def log() -> Iterator[LogCapture]:
    capture = LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, capture])
    yield capture
    structlog.reset_defaults()


@pytest.fixture
def address(log: LogCapture) -> Iterator[Address]:
    with serving(app()) as running:
        yield running
        assert all("request_id" in entry for entry in log.entries)


def ask(
    address: Address, path: str, method: str = "GET", headers: dict[str, str] | None = None
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(address.host, address.port, timeout=60)
    try:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("DELETE", "/fine", 405, "method_not_allowed"),
        ("GET", "/broken", 500, "internal_error"),
        ("GET", "/teapot", 500, "internal_error"),
        ("GET", "/away", 503, "store_unavailable"),
        ("GET", "/misused", 500, "internal_error"),
        ("GET", "/disk", 500, "internal_error"),
        ("GET", "/full", 429, "queue_full"),
        ("GET", "/files", 422, "not_an_image"),
    ],
)
def test_every_refusal_is_a_problem_document(
    address: Address, method: str, path: str, status: int, code: str
) -> None:
    answer, body = ask(address, path, method)
    told = msgspec.json.decode(body)
    assert answer.status == told["status"] == status
    assert told["code"] == code
    assert told["type"] == f"urn:image2model:problem:{code}"
    assert told["request_id"] == answer.headers["X-Request-ID"]
    assert told["title"]
    assert told["detail"]
    assert ("errors" in told) == (path == "/files")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert SECRET.encode() not in body


def test_headers_of_a_refusal_are_kept(address: Address) -> None:
    assert ask(address, "/full")[0].headers["Retry-After"] == "7"
    assert set(ask(address, "/fine", "DELETE")[0].headers["Allow"].split(", ")) == {"GET", "HEAD"}


def test_head_gets_the_headers_and_no_body(address: Address) -> None:
    answer, body = ask(address, "/nowhere", "HEAD")
    assert (answer.status, body) == (404, b"")
    assert int(answer.headers["Content-Length"]) > 0


@pytest.mark.parametrize("path", ["/broken", "/misused", "/disk"])
def test_a_fault_of_ours_is_logged_with_its_cause_and_the_request(
    address: Address, log: LogCapture, path: str
) -> None:
    ask(address, path, headers={"X-Request-ID": "mine-1"})
    [entry] = [entry for entry in log.entries if entry["event"] == "internal_error"]
    assert SECRET in str(entry["exc_info"])
    assert entry["exc_info"].__traceback__ is not None
    assert entry["request_id"] == "mine-1"


def test_an_answer_that_breaks_in_the_middle_is_cut_and_not_ended(address: Address) -> None:
    connection = http.client.HTTPConnection(address.host, address.port, timeout=60)
    connection.request("GET", "/half")
    answer = connection.getresponse()
    with pytest.raises(http.client.IncompleteRead) as cut:
        answer.read()
    connection.close()
    assert cut.value.partial in {b"first piece", b""}


@pytest.mark.parametrize("given", ["abc-123", "A" * 128, "1/2:3=4+5@6_7.8"])
def test_a_sane_request_id_is_echoed(address: Address, given: str) -> None:
    assert ask(address, "/fine", headers={"X-Request-ID": given})[0].headers["X-Request-ID"] == given


@pytest.mark.parametrize(
    "given", ["", "A" * 129, "a b", "<script>", '"', "-x", "größe".encode().decode("latin-1")]
)
def test_another_request_id_is_replaced(address: Address, given: str) -> None:
    made = ask(address, "/fine", headers={"X-Request-ID": given})[0].headers["X-Request-ID"]
    assert made != given
    assert len(made) == 32
