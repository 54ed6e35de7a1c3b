"""Clients that read slowly, or not at all: merged within a status, or cut, and no harm to the others."""

import asyncio
import socket
import time

import pytest
from redis.asyncio import Redis

from tests.events.conftest import Process, api_process
from tests.support.jobs import create_job, finish, pick, queue_position, submit
from tests.support.sse import EVENTS, Message, Stream, job_path, opened
from tests.support.wait import wait_until

BUFFER = 4096
SEND_TIMEOUT_S = 3.0
pytestmark = pytest.mark.timeout(300)  # hundreds of events in turn, on a machine that may be busy


def slow_connection(process: Process, path: str) -> socket.socket:
    """A client with hardly any room for what it does not read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    client.connect((process.address.host, process.address.port))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\nX-Owner: ann\r\n\r\n".encode())
    return client


async def read_all(client: socket.socket) -> list[Message]:
    """Now read it to its end."""
    stream = await reading(client)
    events = await stream.rest(20)
    stream.writer.close()
    return events


async def reading(client: socket.socket) -> Stream:
    """From now on the client reads as fast as it can."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024 * 1024)
    client.setblocking(False)
    stream = Stream(*await asyncio.open_connection(sock=client, limit=8 * 1024 * 1024))
    await stream.begin()
    return stream


def stuck(process: Process) -> int:
    """How many clients are being waited for."""
    return len(process.relay.writers)


@pytest.mark.long
async def test_slow_reader_gets_every_status_and_few_of_the_changes_within_one(
    redis: Redis, redis_url: str
) -> None:
    job_id = await create_job(redis, 2)
    claims = await pick(redis)
    with api_process(redis_url, send_timeout_s=60, send_buffer=BUFFER) as process:
        client = slow_connection(process, job_path(job_id))
        await asyncio.to_thread(wait_until, lambda: len(process.relay._keep_alive.subscribers()) == 1)
        for claim in claims:
            await submit(redis, claim)
        position = 0
        while not stuck(process) or position < 600:
            position += 1
            await queue_position(redis, claims[0], position)
        for claim in claims:
            await finish(redis, claim)
        events = await read_all(client)
    ids = [event.id for event in events]
    assert ids == sorted(set(ids))
    assert events[-1].event == "complete"
    positions = [e.json["image"]["queue_position"] for e in events if e.brief == ("image", "submitted")]
    assert len(positions) < position
    assert position in positions
    for claim in claims:
        statuses = [
            event.json["image"]["status"]
            for event in events
            if event.event == "image" and event.json["image"]["image_id"] == claim.task_id
        ]
        assert list(dict.fromkeys(statuses))[-4:] == ["submitted", "generating", "storing", "succeeded"]


@pytest.mark.long
async def test_reader_that_falls_far_behind_loses_no_status(redis: Redis, redis_url: str) -> None:
    with api_process(redis_url, send_timeout_s=60, send_buffer=BUFFER) as process:
        client = slow_connection(process, EVENTS)
        async with opened(process.address, EVENTS) as quick:
            seen = await quick.take(1)
            for _ in range(12):
                await create_job(redis, 25)
                for claim in await pick(redis):
                    await submit(redis, claim)
                    await finish(redis, claim)
                seen += await quick.take(25 * 6 + 1)
        assert stuck(process) == 1
        slow = await reading(client)
        assert await slow.take(len(seen)) == seen
        slow.writer.close()


async def test_client_that_does_not_read_is_cut_and_costs_the_others_nothing(
    redis: Redis, redis_url: str
) -> None:
    job_id = await create_job(redis, 1)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    with api_process(redis_url, send_timeout_s=SEND_TIMEOUT_S, send_buffer=BUFFER) as process:
        client = slow_connection(process, job_path(job_id))
        async with opened(process.address, job_path(job_id)) as quick:
            seen = await quick.take(1)
            position, slowest, was_stuck = 0, 0.0, False
            while not was_stuck or position < 300:
                position += 1
                began = time.monotonic()
                await queue_position(redis, claim, position)
                seen += await quick.take(1)
                slowest = max(slowest, time.monotonic() - began)
                was_stuck = was_stuck or stuck(process) == 1  # on a busy machine it is cut before event 300
            await asyncio.to_thread(wait_until, lambda: stuck(process) == 0)
            await finish(redis, claim)
            seen += await quick.rest()
        assert slowest < SEND_TIMEOUT_S  # so long it would wait for the other one
        assert [e.id for e in seen] == list(range(seen[0].id, seen[-1].id + 1))
        await asyncio.to_thread(_drain_until_reset, client)


def _drain_until_reset(client: socket.socket) -> None:
    """The connection was severed: what the kernel held comes, then a reset, and no proper end."""
    client.settimeout(5)
    tail = b""
    try:
        while chunk := client.recv(65536):
            tail = (tail + chunk)[-64:]
    except ConnectionResetError:
        return
    finally:
        client.close()
    assert not tail.endswith(b"0\r\n\r\n")


async def test_comments_come_while_nothing_happens(redis: Redis, redis_url: str) -> None:
    job_id = await create_job(redis)
    with api_process(redis_url, comment_s=0.5) as process:
        async with opened(process.address, job_path(job_id)) as stream:
            await stream.take(1)
            reading = asyncio.create_task(stream.next(90))
            async with asyncio.timeout(60):
                while stream.comments < 3:
                    await asyncio.sleep(0.05)
            assert not reading.done()
            reading.cancel()
