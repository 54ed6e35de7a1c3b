"""Senders without a key: what one of them can make a process hold is bounded, wherever it puts its bytes."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from image2model.api.protocol import MAX_HEAD_BYTES
from image2model.webhooks import fal_callback
from tests.support.callers import ADMIN, Caller, cookie, sign_in
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.served_api import Service
from tests.support.sketches import picture

LINE = b"a" * 4000
ENOUGH = 4 << 20
"""Bytes that are far over every limit, and over what a connection's buffers hold."""
FAL = "/api/v1/webhooks/fal"
REFUSED = "Bearer nobody-knows-this-one"


@pytest.fixture
def service(make_keyed_service: Callable[..., Service]) -> Service:
    """With keys, which a sender here has none of."""
    return make_keyed_service()


def lines() -> Iterator[bytes]:
    """Header lines without end."""
    return (b"X-%d: %s\r\n" % (number, LINE) for number in count())


def sent_until_cut(sock: socket.socket, pieces: Iterator[bytes]) -> int:
    """Bytes that went out until the other side hung up, or `ENOUGH`."""
    sent = 0
    try:
        while sent < ENOUGH:
            sent += sock.send(next(pieces))
    except ConnectionError:
        pass  # which is what is hoped for
    return sent


@pytest.mark.parametrize(
    "begin",
    [
        b"GET /api/v1/session HTTP/1.1\r\nHost: x\r\n",
        b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n",
        b"GET /api/v1/health/live HTTP/1.1\r\nHost: x\r\n\r\nGET /api/v1/session HTTP/1.1\r\nHost: x\r\n",
    ],
    ids=["head", "trailers", "second head"],
)
def test_a_head_and_trailers_that_do_not_end_are_cut_off(service: Service, begin: bytes) -> None:
    with service.address.connect() as sock:
        sock.sendall(begin)
        assert sent_until_cut(sock, lines()) < ENOUGH
    assert service.get("health/live").status == 200


def test_one_header_and_one_path_that_do_not_end_are_cut_off(service: Service) -> None:
    for begin in (b"GET /api/v1/session HTTP/1.1\r\nX-Long: ", b"GET /api/v1/session?"):
        with service.address.connect() as sock:
            sock.sendall(begin)
            assert sent_until_cut(sock, iter(lambda: LINE, b"")) < ENOUGH


def test_a_long_head_that_ends_is_taken(service: Service) -> None:
    long = {"X-Long": "a" * (MAX_HEAD_BYTES - 300)}
    assert service.send("GET", "/api/v1/health/live", None, long).status == 200


def test_a_body_of_tiny_chunks_is_taken(service: Service) -> None:
    """What frames it is five times as long as it is, and far over what a head may have."""
    body = bytes(Body().file("chair.png", picture(size=(200, 200))))
    framed = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    assert len(framed) > 2 * MAX_HEAD_BYTES
    head = (
        "POST /api/v1/upload/batch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        f"Content-Type: {CONTENT_TYPE}\r\nAuthorization: Bearer {ADMIN}\r\n\r\n"
    )
    with service.address.connect() as sock:
        sock.sendall(head.encode() + framed)
        assert sock.recv(64).startswith(b"HTTP/1.1 202")


async def test_bodies_in_fals_name_are_held_a_few_at_a_time(
    make_keyed_service: Callable[..., Service],
) -> None:
    """The route reads a body before it can know whose it is; FAL's own are small, and still get through."""
    service = make_keyed_service(public_url="http://127.0.0.1:9")
    size = 7 << 20
    head = f"POST {FAL} HTTP/1.1\r\nHost: x\r\nContent-Length: {size + 1}\r\n\r\n".encode()
    done: list[int] = []

    async def send(number: int) -> None:
        _, writer = await asyncio.open_connection(service.address.host, service.address.port)
        writers.append(writer)
        writer.transport.set_write_buffer_limits(0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        writer.write(head)
        for _ in range(size >> 16):
            writer.write(b" " * (1 << 16))
            await writer.drain()
        done.append(number)

    writers: list[asyncio.StreamWriter] = []
    senders = [asyncio.create_task(send(number)) for number in range(12)]
    try:
        async with asyncio.timeout(60):
            while len(done) < 4:
                await asyncio.sleep(0.01)
        small = await asyncio.to_thread(service.send, "POST", FAL, b"{}", {})
        assert small.status == 401  # at once
        assert len(done) == 4
    finally:
        for sender in senders:
            sender.cancel()
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*senders, return_exceptions=True)


def test_a_slow_body_in_fals_name_is_refused(
    make_keyed_service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fal_callback, "_DEADLINE_S", 0.2)
    with make_keyed_service(public_url="http://127.0.0.1:9").address.connect() as sock:
        sock.sendall(f"POST {FAL} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{{".encode())
        assert sock.recv(64).startswith(b"HTTP/1.1 408")


def test_guesses_from_an_address_do_not_bar_the_session_that_it_has(service: Service) -> None:
    """The admin's key is barred there, because a person chose it; a session's cookie nobody can guess."""
    jar = cookie(sign_in(service, ADMIN))
    while service.send("GET", "/api/v1/session", None, {"Authorization": REFUSED}).status == 401:
        pass
    assert Caller(service, ADMIN).get("session").status == 429
    assert service.send("GET", "/api/v1/session", None, jar).status == 200


@pytest.mark.parametrize("path", [FAL, "/api/v1/upload/batch"])
def test_a_length_with_thousands_of_zeros_is_a_number(
    make_keyed_service: Callable[..., Service], path: str
) -> None:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {CONTENT_TYPE}\r\n"
        f"Authorization: Bearer {ADMIN}\r\nContent-Length: {'0' * 5000}2\r\n\r\n"
    )
    with make_keyed_service(public_url="http://127.0.0.1:9").address.connect() as sock:
        sock.sendall(head.encode() + b"{}")
        assert sock.recv(64).startswith(b"HTTP/1.1 4")
