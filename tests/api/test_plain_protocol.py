"""Offers to speak another protocol are ignored: the body that follows them is the request's own."""

import time
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from image2model.api.protocol import AbortableProtocol
from tests.support.servers import Address, serving

OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def echo(request: Request) -> Response:
    headers = ",".join(sorted(request.headers))
    return PlainTextResponse(f"<{request.url.path} {(await request.body()).decode()} {headers}>")


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    with serving(
        Starlette(routes=[Route("/{p}", echo, methods=["GET", "POST"])]), http=AbortableProtocol
    ) as at:
        yield at


def bodies(address: Address, *reads: bytes) -> list[str]:
    """What is answered to these pieces, each of which the server reads by itself, until it hangs up."""
    with address.connect() as raw:
        raw.sendall(reads[0])
        for piece in reads[1:]:
            time.sleep(0.1)  # nothing tells when the server has read; too early only proves less
            raw.sendall(piece)
        answers = b""
        while piece := raw.recv(1 << 16):
            answers += piece
    return [part.partition(b">")[0].decode() for part in answers.split(b"<")[1:]]


def post(body: bytes, framing: bytes, *, offer: bytes = OFFER) -> bytes:
    return b"POST /first HTTP/1.1\r\nHost: x\r\n" + offer + framing + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    "offer",
    [
        OFFER,
        b"Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\n",
        b"Upgrade: x\r\nConnection: Upgrade\r\n",
    ],
    ids=["h2c", "websocket", "unknown"],
)
@pytest.mark.parametrize("cut", [0, 20, None], ids=["body apart", "cut in two", "in one read"])
def test_body_after_an_offer_is_the_requests_own(address: Address, offer: bytes, cut: int | None) -> None:
    inner = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    whole = post(inner, b"Content-Length: %d" % len(inner), offer=offer)
    at = len(whole) if cut is None else len(whole) - len(inner) + cut
    found = bodies(address, *filter(None, (whole[:at], whole[at:])), NEXT)
    assert [one.split(" ", 1)[0] for one in found] == ["/first", "/next"]
    assert inner.decode().split(" ")[1] in found[0]
    assert "upgrade" not in found[0]


def test_chunked_body_after_an_offer_is_whole(address: Address) -> None:
    chunked = post(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"Transfer-Encoding: chunked")
    assert [one.split(" ")[:2] for one in bodies(address, chunked + NEXT)] == [
        ["/first", "abcde"],
        ["/next", ""],
    ]


def test_many_offers_in_one_read_are_answered_in_order(address: Address) -> None:
    several = b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n" % n + OFFER + b"\r\n" for n in range(8))
    assert [one.split(" ")[0] for one in bodies(address, several + NEXT)] == [
        *map("/{}".format, range(8)),
        "/next",
    ]


def test_connect_is_refused(address: Address) -> None:
    with address.connect() as raw:
        raw.sendall(b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.recv(64).startswith(b"HTTP/1.1 400")
