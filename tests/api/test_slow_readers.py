"""Clients that do not read what they asked for: cut off; those that read slowly are not."""

import socket
import time
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from image2model.api.protocol import AbortableProtocol
from tests.support.servers import Address, serving

WHOLE = 4 << 20


class Impatient(AbortableProtocol):
    stall_timeout_s = 0.5


async def large(_: Request) -> Response:
    return Response(bytes(WHOLE))


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    app = Starlette(routes=[Route("/", large)])
    with serving(app, http=Impatient, send_buffer=64 << 10) as at:
        yield at


def asked(address: Address, more: bytes = b"") -> socket.socket:
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
    raw.settimeout(20)
    raw.connect((address.host, address.port))
    raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + more + b"\r\n")
    return raw


def rest(raw: socket.socket, pause: float = 0.0) -> int:
    size = 0
    try:
        while piece := raw.recv(256 << 10):
            size += len(piece)
            time.sleep(pause)
    except ConnectionError:
        pass
    return size


@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"])
def test_who_does_not_read_is_cut_off(address: Address, more: bytes) -> None:
    """Also where the answer is written and the connection only waits to be closed."""
    with asked(address, more) as raw:
        time.sleep(3 * Impatient.stall_timeout_s)
        assert rest(raw) < WHOLE


def test_who_reads_all_the_time_gets_all_of_it(address: Address) -> None:
    with asked(address, b"Connection: close\r\n") as raw:
        assert rest(raw, pause=0.0005) > WHOLE
