"""HTTP with FAL on the wire: whole replies or an error, deadlines, and what is sent."""

import asyncio
import gzip
import zlib
from pathlib import Path

import pytest

from image2model.fal.connections import HttpConnections, with_params
from image2model.fal.exchange import Deadlines
from tests.fal.exchanges import MIB, OK, begin, fetched, hello, kept
from tests.support.raw_server import Exchange as Arrived
from tests.support.raw_server import Script, never, raw_server
from tests.support.webhook_receiver import certificate, receiving


def saying(data: bytes) -> Script:
    """Sends this, and closes."""

    async def script(arrived: Arrived) -> None:
        await arrived.send(data)

    return script


PACKED = zlib.compressobj(wbits=-zlib.MAX_WBITS)
RAW_DEFLATE = PACKED.compress(b"hello" * 1000) + PACKED.flush()
WHOLE = {
    "length": (b"Content-Length: 5\r\n\r\nhello", b"hello"),
    "nothing": (b"Content-Length: 0\r\n\r\n", b""),
    "all at once": (b"Content-Length: %d\r\n\r\n" % MIB + bytes(MIB), bytes(MIB)),
    "chunks": (
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nTrailer: t\r\n\r\n",
        b"hello",
    ),
    "until closed": (b"\r\nhello", b"hello"),
    "gzip": (b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"hello" * 1000), b"hello" * 1000),
    "deflate": (b"Content-Encoding: Deflate\r\n\r\n" + zlib.compress(b"hello" * 1000), b"hello" * 1000),
    "raw deflate": (b"Content-Encoding: deflate\r\n\r\n" + RAW_DEFLATE, b"hello" * 1000),
    "much in little": (b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(5 * MIB)), bytes(5 * MIB)),
}


@pytest.mark.parametrize("form", WHOLE)
async def test_reply_comes_whole_in_every_form(connections: HttpConnections, form: str) -> None:
    sent, body = WHOLE[form]
    async with raw_server(saying(OK + sent)) as server:
        assert await fetched(connections, server.url) == body


async def test_head_is_there_and_early_hints_are_not_the_reply(connections: HttpConnections) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    data = hints + b"HTTP/1.1 404 No\r\nX-Said: a\xc3\xa9\r\nContent-Length: 2\r\n\r\nno"
    async with raw_server(saying(data)) as server:
        exchange = await begin(connections, server.url)
        assert (exchange.reply.status, exchange.reply.content_length) == (404, 2)
        assert (exchange.reply.headers["x-said"], exchange.reply.headers.get("link")) == ("aé", None)
        exchange.end()


BROKEN = {
    "nothing": b"",
    "half a head": OK + b"Content-Le",
    "half a body": OK + b"Content-Length: 9\r\n\r\nhello",
    "half the chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "no HTTP": b"\x00\xff\x17 garbage\r\n\r\n" * 3,
    "another protocol": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "no gzip": OK + b"Content-Encoding: gzip\r\n\r\nplain",
    "cut gzip": OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"hello" * 1000)[:-9],
    "a head without end": OK + b"X: " + b"x" * MIB,
}


@pytest.mark.parametrize("what", BROKEN)
async def test_broken_reply_is_an_error_and_never_a_short_one(
    connections: HttpConnections, what: str
) -> None:
    async with raw_server(saying(BROKEN[what])) as server:
        with pytest.raises(ConnectionError):
            await fetched(connections, server.url)
        assert len(server.requests) == 1  # a connection that was not kept is no reason to send again


async def test_reply_that_is_too_large_is_refused(connections: HttpConnections) -> None:
    async with raw_server(saying(OK + b"\r\n" + bytes(3 * MIB))) as server:
        exchange = await begin(connections, server.url)
        with pytest.raises(ConnectionError, match="larger than"):
            await exchange.reply.whole(2 * MIB)
        exchange.end()


@pytest.mark.parametrize("deadlines", [Deadlines(silence=0.2), Deadlines(total=0.2)])
@pytest.mark.parametrize("said", [b"", OK + b"Content-Length: 9\r\n\r\nhello"])
async def test_silent_host_is_given_up(
    connections: HttpConnections, deadlines: Deadlines, said: bytes
) -> None:
    async def stalls(arrived: Arrived) -> None:
        await arrived.send(said)
        await never(arrived)

    async with raw_server(stalls) as server:
        with pytest.raises(TimeoutError):
            await fetched(connections, server.url, deadlines=deadlines)


async def test_slow_host_is_not_a_silent_one(connections: HttpConnections) -> None:
    async def drips(arrived: Arrived) -> None:
        await arrived.send(OK + b"Content-Length: 12\r\n\r\n")
        for _ in range(12):
            await asyncio.sleep(0.1)
            await arrived.send(b"x")

    async with raw_server(drips) as server:
        assert await fetched(connections, server.url, deadlines=Deadlines(silence=1)) == b"x" * 12
        with pytest.raises(TimeoutError):
            await fetched(connections, server.url, deadlines=Deadlines(silence=1, total=0.5))


async def test_reply_that_is_not_read_is_not_taken_into_memory(connections: HttpConnections) -> None:
    data = bytes(range(256)) * (32 * MIB // 256)
    sent = 0

    async def large(arrived: Arrived) -> None:
        nonlocal sent
        await arrived.send(OK + b"Content-Length: %d\r\n\r\n" % len(data))
        for start in range(0, len(data), 1 << 16):
            await arrived.send(data[start : start + (1 << 16)])
            sent += 1 << 16

    async with raw_server(large) as server:
        exchange = await begin(connections, server.url, deadlines=Deadlines(silence=0.3))
        before = -1
        while before != sent:  # longer than the silence that a host may keep: it is we who do not read
            before = sent
            await asyncio.sleep(0.5)
        assert sent < len(data) / 2
        body = await exchange.reply.whole(len(data))
        exchange.end()
        assert body == data


async def test_large_body_arrives_whole(connections: HttpConnections) -> None:
    async def echo(arrived: Arrived) -> None:
        await arrived.reply("200 OK", str(zlib.crc32(arrived.body)).encode())

    data = bytes(range(256)) * (32 * MIB // 256)
    async with raw_server(echo) as server:
        found = await fetched(connections, server.url, "POST", body=data)
    assert int(found) == zlib.crc32(data)


async def test_hook_before_the_first_byte_may_stop_the_request(connections: HttpConnections) -> None:
    async def stop() -> None:
        raise LookupError

    async with kept(hello) as server:
        with pytest.raises(LookupError):
            await begin(connections, server.url, "POST", before_send=stop)
        await fetched(connections, server.url)
        assert server.requests == 1


async def test_tls_host_must_prove_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, connections: HttpConnections
) -> None:
    async def answer(arrived: Arrived) -> None:
        await arrived.reply("200 OK", b"secret")

    mine = certificate(tmp_path, "localhost")
    async with receiving(answer, cert=mine) as server:
        with pytest.raises(OSError, match="certificate verify failed"):
            await fetched(connections, f"https://localhost:{server.port}/x")
        assert server.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", str(mine))
        trusting = HttpConnections({}, keep_s=30)
        assert await fetched(trusting, f"https://localhost:{server.port}/x") == b"secret"
        with pytest.raises(OSError, match="certificate"):
            await fetched(trusting, f"https://127.0.0.1:{server.port}/x")
        await trusting.close()


@pytest.mark.parametrize(
    "url",
    ["ftp://a.example/x", "http:///x", "http://me@a.example/x", "http://a.example?x", "x", "http://a\\b/x"],
)
async def test_what_is_no_plain_address_is_refused(connections: HttpConnections, url: str) -> None:
    with pytest.raises(ValueError, match="no URL"):
        await fetched(connections, url)


async def test_header_cannot_bring_another_one(connections: HttpConnections) -> None:
    async with kept(hello) as server:
        with pytest.raises(ValueError, match="line end"):
            await fetched(connections, server.url, headers={"X-A": "a\r\nX-B: b"})
        assert server.requests == 0


async def test_request_is_what_a_server_expects(connections: HttpConnections) -> None:
    async def answer(arrived: Arrived) -> None:
        await arrived.reply("200 OK")

    async with raw_server(answer) as server:
        await fetched(connections, f"{server.url}/a b?c=<#d", "POST", headers={"X-Tag": "1"}, body=b"{}")
        await fetched(connections, with_params(f"{server.url}/a?b=c", {"d": "e f&"}))
        post, get = server.requests
    assert post.request_line == "POST /a%20b?c=%3C HTTP/1.1"
    assert [post.header(name) for name in ("host", "x-tag", "user-agent", "content-length")] == [
        server.url.removeprefix("http://"), "1", "test", "2",
    ]  # fmt: skip
    assert (post.body, get.header("content-length")) == (b"{}", None)
    assert get.request_line == "GET /a?b=c&d=e%20f%26 HTTP/1.1"
