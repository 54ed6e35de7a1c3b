"""A sender under the least rate is cut off with 408; one over it is not. The window is short here."""

import asyncio
import time
from collections.abc import Callable

import pytest
from starlette.types import Message

from image2model.errors import UploadTooSlow
from image2model.http.upload import UploadLimits
from image2model.http.upload.limits import PacedBody
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.upload_edge import Edge, picture

DATA = picture("JPEG") + bytes(40_000)
BODY = bytes(Body().file("a.jpg", DATA))
HEAD = b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (
    CONTENT_TYPE.encode(),
    len(BODY),
)


def trickle(edge: Edge, share_of_least_rate: float) -> bytes:
    """Send the body at a steady share of the least rate until it is sent or an answer comes.

    What a busy machine has kept back is made up for.
    """
    rate = edge.limits.min_rate * share_of_least_rate
    with edge.address.connect() as raw:
        raw.sendall(HEAD)
        raw.settimeout(0.02)
        started, sent = time.monotonic(), 0
        while sent < len(BODY):
            due = int((time.monotonic() - started) * rate)
            raw.sendall(BODY[sent:due])
            sent = max(sent, due)
            try:
                return raw.recv(65536)
            except TimeoutError:
                continue
        raw.settimeout(10)
        return raw.recv(65536)


def test_half_the_least_rate_is_cut_off_after_the_window(make_edge: Callable[..., Edge]) -> None:
    edge = make_edge(rate_window=0.5)
    started = time.monotonic()
    answer = trickle(edge, 0.5)
    assert b" 408 " in answer
    assert b"upload_too_slow" in answer
    assert b"connection: close" in answer.lower()
    assert time.monotonic() - started > 0.4
    assert edge.budget.held == 0


def test_four_times_the_least_rate_is_taken(make_edge: Callable[..., Edge]) -> None:
    assert b" 202 " in trickle(make_edge(rate_window=0.5), 4)


@pytest.mark.parametrize("sent", [b"", BODY[:300]])
def test_a_sender_that_stops_is_cut_off(make_edge: Callable[..., Edge], sent: bytes) -> None:
    edge = make_edge(rate_window=0.3)
    with edge.address.connect() as raw:
        raw.sendall(HEAD + sent)
        assert b" 408 " in raw.recv(65536)


async def test_who_trickles_over_the_least_rate_is_cut_off_once_others_wait_for_memory() -> None:
    limits = UploadLimits(min_rate=1000, rate_window=60.0, crowded_grace=0.05, crowded_rate=1 << 20)
    crowded = False

    async def receive() -> Message:
        await asyncio.sleep(0.03)
        return {"type": "http.request", "body": b"x" * 2000, "more_body": True}

    body = PacedBody(receive, limits, crowded=lambda: crowded)
    for _ in range(4):
        assert await body.read()
    crowded = True
    with pytest.raises(UploadTooSlow):
        await body.read()


async def test_no_body_takes_for_ever() -> None:
    async def receive() -> Message:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x" * 2000, "more_body": True}

    body = PacedBody(receive, UploadLimits(min_rate=1, rate_window=60.0, max_seconds=0.1))

    async def read_all() -> None:
        while await body.read():
            pass

    with pytest.raises(UploadTooSlow):
        await read_all()
