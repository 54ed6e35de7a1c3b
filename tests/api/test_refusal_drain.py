"""An early answer reaches a client that still sends, and keeps nothing of what it sends."""

import gc
import http.client
import threading
import time
from collections.abc import Callable

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from image2model.api.middleware import RefusalDrain
from image2model.http.upload import ReceivedFile
from image2model.storage.errors import StorageError
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.servers import Address, serving
from tests.support.upload_edge import Edge, eventually, picture

MIB = 1 << 20


def answering(status: int) -> Callable[[Scope, Receive, Send], object]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("early", status)(scope, receive, send)

    return app


def post(address: Address, size: int) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(address.host, address.port, timeout=60)
    connection.request("POST", "/", bytes(size))
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


@pytest.mark.parametrize("http_parser", ["httptools", "h11"])
@pytest.mark.parametrize("status", [202, 307, 401, 429, 503])
def test_an_answer_before_the_body_is_received(status: int, http_parser: str) -> None:
    drain = RefusalDrain(answering(status), max_bytes=64 * MIB)  # type: ignore[arg-type]
    with serving(drain, lifespan="off", http=http_parser) as address:
        answer = post(address, 32 * MIB)
        assert answer.status == status
        assert answer.headers["Connection"] != "close"


def test_draining_ends_after_its_time() -> None:
    drain = RefusalDrain(answering(401), max_bytes=64 * MIB, seconds=0.3)  # type: ignore[arg-type]
    with serving(drain, lifespan="off") as address, address.connect() as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n12345")
        started = time.monotonic()
        answer = raw.recv(4096)
        assert b" 401 " in answer
        assert b"connection: close" in answer.lower()
        assert time.monotonic() - started < 20


def test_who_asks_first_is_refused_at_once_and_sends_nothing() -> None:
    drain = RefusalDrain(answering(401), max_bytes=64 * MIB)  # type: ignore[arg-type]
    with serving(drain, lifespan="off") as address, address.connect() as raw:
        raw.settimeout(5)
        raw.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9000000\r\n\r\n")
        answer = raw.recv(4096)
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"connection: close" in answer.lower()


def test_draining_ends_at_the_body_limit() -> None:
    drain = RefusalDrain(answering(413), max_bytes=MIB, seconds=30)  # type: ignore[arg-type]
    with serving(drain, lifespan="off") as address, address.connect() as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n" + bytes(3 * MIB))
        assert b" 413 " in raw.recv(4096)


def test_a_connection_serves_another_request_after_a_refusal(edge: Edge) -> None:
    connection = http.client.HTTPConnection(edge.address.host, edge.address.port, timeout=60)
    headers = {"Content-Type": CONTENT_TYPE}
    connection.request("POST", "/upload", bytes(Body().text("colour", "x").file("a", bytes(MIB))), headers)
    refused = connection.getresponse()
    refused.read()
    assert refused.status == 422
    connection.request("POST", "/upload", bytes(Body().file("a.png", picture())), headers)
    assert connection.getresponse().status == 202
    connection.close()


def test_the_file_that_broke_a_limit_is_gone_while_the_rest_is_dropped(edge: Edge) -> None:
    """The refusal waits for the rest of the body; what came before must not wait with it."""
    marked = b"MARK" * 250_000
    begun = Body().file("a.jpg", picture("JPEG") + marked).open_ended()
    broken_end = b"\r\n--edge-of-the-part and more"
    with edge.address.connect() as raw:
        raw.sendall(
            b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: %b\r\nContent-Length: 20000000\r\n\r\n"
            % CONTENT_TYPE.encode()
        )
        raw.sendall(begun[:-2])
        eventually(lambda: edge.budget.held > 900_000, "the file is held")
        assert marked_chunks_alive() > 0
        raw.sendall(broken_end)
        eventually(lambda: edge.budget.held == 0, "memory is released")
        eventually(lambda: marked_chunks_alive() == 0, "no bytes of it are alive")


def test_files_are_gone_once_the_storage_has_failed(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure of one file ends the upload; neither that file nor the next one outlives it."""

    failed = threading.Event()

    async def unreachable(_file: ReceivedFile, _data: bytes) -> None:
        failed.set()
        raise StorageError("unreachable")

    monkeypatch.setattr(edge, "sink", unreachable)
    marked = picture("JPEG") + b"MARK" * 250_000
    begun = Body().file("a.jpg", marked).file("b.jpg", marked).file("c.jpg", marked).open_ended()
    gc.disable()  # it would hide a cycle
    try:
        with edge.address.connect() as raw:
            raw.sendall(
                b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: %b\r\nContent-Length: 20000000\r\n\r\n"
                % CONTENT_TYPE.encode()
            )
            raw.sendall(begun + b"--edge-of-the-part\r\n")
            assert failed.wait(10)
            del begun, marked
            eventually(lambda: edge.budget.held == 0, "memory is released")
            eventually(lambda: marked_chunks_alive() == 0, "no bytes of them are alive")
    finally:
        gc.enable()


def marked_chunks_alive() -> int:
    """Chunks of the upload that some list of the server still holds."""
    lists = [found for found in gc.get_objects() if type(found) is list]
    chunks = [item for found in lists for item in found if type(item) is bytes and len(item) > 20_000]
    return sum(b"MARKMARK" in chunk for chunk in chunks)
