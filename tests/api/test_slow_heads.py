"""A request's head may not take for ever, nor a small body; whoever is in time is not cut off."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message

from image2model.api.protocol import AbortableProtocol
from image2model.errors import UploadTooSlow
from image2model.http.bodies import read_small
from tests.support.servers import Address, serving


class Impatient(AbortableProtocol):
    head_timeout_s = 0.3


async def slow_answer(_: Request) -> Response:
    await asyncio.sleep(2 * Impatient.head_timeout_s)
    return PlainTextResponse("late")


@contextmanager
def listening() -> Iterator[Address]:
    with serving(Starlette(routes=[Route("/", slow_answer)]), http=Impatient) as address:
        yield address


def ends_by_itself(raw: socket.socket) -> bool:
    raw.settimeout(10)
    return raw.recv(1024) == b""


@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX-A: 1"])
def test_head_that_does_not_come_ends_the_connection(head: bytes) -> None:
    with listening() as address, address.connect() as raw:
        raw.sendall(head)
        assert ends_by_itself(raw)


def header_lines_until_cut(raw: socket.socket, most: int) -> int:
    """How many lines of an endless head were sent."""
    raw.settimeout(0.02)
    for sent in range(most):
        try:
            raw.sendall(b"X-A: 1\r\n")
            if raw.recv(10) == b"":
                return sent
        except TimeoutError:
            continue
        except ConnectionError:
            return sent
    return most


def test_trickling_does_not_help() -> None:
    with listening() as address, address.connect() as raw:
        raw.sendall(b"GET / HTTP/1.1\r\n")
        assert 2 < header_lines_until_cut(raw, most=500) < 500


def test_second_head_of_a_connection_is_timed_too() -> None:
    with listening() as address, address.connect() as raw:
        raw.settimeout(10)
        raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.recv(1024).endswith(b"late")
        raw.sendall(b"GET / HTTP/1.1\r\n")
        assert ends_by_itself(raw)


def test_answer_may_take_longer_than_a_head() -> None:
    with listening() as address, address.connect() as raw:
        raw.settimeout(10)
        raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in raw.recv(1024)


async def test_small_body_has_a_deadline() -> None:
    async def receive() -> Message:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b" ", "more_body": True}

    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    with pytest.raises(UploadTooSlow):
        await read_small(request, 1 << 20, deadline_s=0.1)
