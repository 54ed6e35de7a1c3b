"""Requests that are sent before the ones ahead of them are answered: what they may hold, and how they end."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from image2model.api.protocol import MAX_PIPELINED, AbortableProtocol
from tests.support.servers import Address, serving

STREAM = b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
PLAIN = b"GET /plain HTTP/1.1\r\nHost: x\r\n\r\n"


class Stream:
    """Begins an answer, and ends it only when its client has left."""

    def __init__(self) -> None:
        self.left = Event()

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        pinging = asyncio.create_task(ping(send))
        while (await receive())["type"] != "http.disconnect":
            pass
        pinging.cancel()
        self.left.set()


async def ping(send: Send) -> None:
    """What shows that nobody is there: while a request waits nothing is read."""
    while True:
        await asyncio.sleep(0.05)
        await send({"type": "http.response.body", "body": b"ping", "more_body": True})


async def plain(_: Request) -> Response:
    await asyncio.sleep(0)
    return PlainTextResponse("done")


class Impatient(AbortableProtocol):
    head_timeout_s = 0.3


@contextmanager
def listening(
    stream: Stream | None = None, http: type[AbortableProtocol] = AbortableProtocol
) -> Iterator[Address]:
    routes = [Route("/stream", stream or Stream()), Route("/plain", plain)]
    with serving(Starlette(routes=routes), http=http) as address:
        yield address


def all_of(raw: socket.socket) -> bytes:
    """Until the server hangs up, which it must."""
    found, end = b"", time.monotonic() + 10
    try:
        while piece := raw.recv(1 << 16):
            found += piece
            assert time.monotonic() < end
    except ConnectionError:
        pass
    return found


def received(raw: socket.socket, wanted: bytes) -> None:
    found = b""
    while wanted not in found:
        found += raw.recv(1 << 16)


def test_stream_with_a_request_behind_it_ends_with_its_client() -> None:
    stream = Stream()
    with listening(stream) as address:
        with address.connect() as raw:
            raw.sendall(STREAM)
            received(raw, b"begun")
            raw.sendall(PLAIN)
            time.sleep(0.1)  # until the server has read it; too early only proves less
        assert stream.left.wait(10)


def test_requests_that_wait_are_few() -> None:
    with listening() as address, address.connect() as raw:
        raw.sendall(STREAM)
        received(raw, b"begun")
        raw.sendall(PLAIN * (MAX_PIPELINED + 1))
        assert b"HTTP/1.1" not in all_of(raw)


def test_as_many_as_may_wait_are_answered() -> None:
    with listening() as address, address.connect() as raw:
        last = PLAIN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        raw.sendall(PLAIN * MAX_PIPELINED + last)
        assert all_of(raw).count(b"done") == MAX_PIPELINED + 1


def test_nothing_is_written_into_an_answer_that_has_begun() -> None:
    with listening() as address, address.connect() as raw:
        raw.sendall(STREAM)
        received(raw, b"begun")
        raw.sendall(b"this is no request\r\n\r\n")
        assert b"400" not in all_of(raw)


@pytest.mark.parametrize("lines", [b"\r\n", b"\r\n\r\n\r\n"])
def test_empty_lines_after_an_answer_hold_no_connection(lines: bytes) -> None:
    with listening(http=Impatient) as address, address.connect() as raw:
        raw.sendall(PLAIN)
        received(raw, b"done")
        raw.sendall(lines)
        raw.settimeout(3)  # less than uvicorn's own wait, which has ended with the lines
        assert all_of(raw) == b""
