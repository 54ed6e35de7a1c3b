"""Connections to FAL: which are kept for the next exchange, and which are not."""

import asyncio
import socket

import pytest

from image2model.fal.connections import HttpConnections
from tests.fal.exchanges import MIB, OK, Kept, begin, fetched, hello, kept


async def test_connection_is_kept_for_the_next_exchange(connections: HttpConnections) -> None:
    async with kept(hello) as server:
        assert [await fetched(connections, server.url) for _ in range(3)] == [
            b"hello 1", b"hello 2", b"hello 3",
        ]  # fmt: skip
        assert server.opened == 1
        both = await asyncio.gather(*(fetched(connections, server.url) for _ in range(2)))
        assert sorted(both) == [b"hello 4", b"hello 5"]
        assert server.opened == 2


async def test_connection_that_is_idle_for_too_long_is_closed() -> None:
    short = HttpConnections({}, keep_s=0.1)
    async with kept(hello) as server:
        await fetched(short, server.url)
        async with asyncio.timeout(60):
            while not server.ended:
                await asyncio.sleep(0.01)
        assert await fetched(short, server.url) == b"hello 2"
        await short.close()


async def test_bytes_that_nobody_asked_for_end_the_connection(connections: HttpConnections) -> None:
    async def twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await hello(reader, writer, number)
        writer.write(OK + b"Content-Length: 4\r\n\r\nevil")

    async with kept(twice) as server:
        assert await fetched(connections, server.url) == b"hello 1"
        assert await fetched(connections, server.url) == b"hello 2"
        assert server.opened == 2


async def _closes_the_second_time(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
) -> None:
    if number == 2:
        writer.close()
    else:
        await hello(reader, writer, number)


async def test_what_may_be_repeated_is_where_a_kept_connection_was_closed(
    connections: HttpConnections,
) -> None:
    async with kept(_closes_the_second_time) as server:
        await fetched(connections, server.url)
        assert await fetched(connections, server.url) == b"hello 3"


async def test_post_is_never_sent_again(connections: HttpConnections) -> None:
    async with kept(_closes_the_second_time) as server:
        await fetched(connections, server.url)
        with pytest.raises(ConnectionError):
            await fetched(connections, server.url, "POST", body=b"")
        assert server.requests == 2


async def test_reply_whose_end_is_near_leaves_its_connection_to_the_next(
    connections: HttpConnections,
) -> None:
    finish = asyncio.Event()

    async def late_end(_: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        if number == 1:
            await finish.wait()
        writer.write(b"2\r\n..\r\n0\r\n\r\n")

    async with kept(late_end) as server:
        exchange = await begin(connections, server.url)
        assert await exchange.reply.part() == b"hello"
        exchange.end()
        finish.set()
        async with asyncio.timeout(60):
            while not exchange.reply.is_complete:
                await asyncio.sleep(0.01)
        assert await fetched(connections, server.url) == b"hello.."
        assert server.opened == 1


@pytest.mark.parametrize("rest", [b"", b"10000\r\n" + b"x" * 0x10000 + b"\r\n"], ids=["silent", "long"])
async def test_reply_whose_end_is_far_is_cut_off(connections: HttpConnections, rest: bytes) -> None:
    async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter, _number: int) -> None:
        writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n" + rest)

    async with kept(endless) as server:
        exchange = await begin(connections, server.url)
        assert (await exchange.reply.part()).startswith(b"hello")
        exchange.end()
        async with asyncio.timeout(60):
            while not server.ended:
                await asyncio.sleep(0.01)


async def begun_anew(connections: HttpConnections, server: Kept) -> bool:
    """Whether the next exchange gets another connection: half a request is on the first."""
    exchange = await begin(connections, server.url)
    exchange.end()
    return server.opened == 2


async def test_refusal_that_comes_before_the_end_of_a_body_is_the_reply(
    connections: HttpConnections,
) -> None:
    async def refuses(_: asyncio.StreamReader, writer: asyncio.StreamWriter, _number: int) -> None:
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await asyncio.Event().wait()  # and reads nothing

    async with kept(refuses) as server:
        exchange = await begin(connections, server.url, "POST", body=bytes(64 * MIB))
        assert (exchange.reply.status, await exchange.reply.whole(9)) == (413, b"no")
        exchange.end()
        assert await begun_anew(connections, server)


async def test_no_more_exchanges_at_once_than_allowed() -> None:
    few = HttpConnections({}, keep_s=30, most=1)
    async with kept(hello) as server:
        first = await begin(few, server.url)
        second = asyncio.create_task(fetched(few, server.url))
        _, waiting = await asyncio.wait([second], timeout=0.3)
        assert waiting
        assert server.requests == 1
        first.end()
        assert await second == b"hello 2"
        for _ in range(2):  # a place that a failure took is free again
            with pytest.raises(ConnectionError):
                await fetched(few, "http://127.0.0.1:1/x")
        assert await fetched(few, server.url) == b"hello 3"
        await few.close()


async def test_host_that_has_moved_is_looked_up_again(
    monkeypatch: pytest.MonkeyPatch, connections: HttpConnections
) -> None:
    async with kept(hello) as server:
        ports = [1, int(server.url.rpartition(":")[2].removesuffix("/x"))]

        async def look_up(*_: object, **__: object) -> list[object]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", ports.pop(0)))]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
        with pytest.raises(ConnectionError):
            await fetched(connections, "http://fal.test/x")
        assert await fetched(connections, "http://fal.test/x") == b"hello 1"
        connections_before = server.opened
        await asyncio.gather(*(fetched(connections, "http://fal.test/x") for _ in range(3)))
        assert server.opened > connections_before  # by the addresses that were found


async def test_close_ends_every_connection(connections: HttpConnections) -> None:
    async with kept(hello) as server:
        await fetched(connections, server.url)
        await connections.close()
        async with asyncio.timeout(60):
            while not server.ended:
                await asyncio.sleep(0.01)
        with pytest.raises(ConnectionError):
            await fetched(connections, server.url)
