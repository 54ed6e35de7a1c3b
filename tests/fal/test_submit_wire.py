"""The paid POST against sockets that misbehave: one POST at most, and the truth about whether it went out."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import fal_client.client
import pytest

from image2model.errors import FalAmbiguous, FalNotAccepted, FalRejected
from image2model.fal.errors import FalThrottled
from image2model.fal.gateway import FalGateway
from image2model.fal.hosts import FalHosts
from tests.support.emulator_process import KEY
from tests.support.raw_server import Exchange, Script, never, raw_server

MODEL = "fal-ai/trellis"
GOOD = b'{"status":"IN_QUEUE","request_id":"r1"}'


async def noted(marks: list[str], gateway: FalGateway, webhook: str | None = None) -> object:
    """One submit that appends to `marks` when it is about to send."""

    async def mark() -> None:
        marks.append("mark")

    return await gateway.submit(
        MODEL, {"image_url": "u"}, tags={"attempt": "1"}, webhook_url=webhook, before_send=mark
    )


@asynccontextmanager
async def gateway_at(url: str, deadline: float = 1.0) -> AsyncIterator[FalGateway]:
    async with FalGateway(KEY, FalHosts.at(url), submit_deadline=deadline) as gateway:
        yield gateway


async def dropped(exchange: Exchange) -> None:
    """Read it all, close."""


async def half_a_head(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Le")


async def half_a_body(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + GOOD)


async def garbage(exchange: Exchange) -> None:
    await exchange.send(b"\x00\xff\x17 garbage\r\n\r\n" * 3)


async def bad_gzip(exchange: Exchange) -> None:
    await exchange.reply("200 OK", b"not gzip at all", Content_Encoding="gzip")


async def not_json(exchange: Exchange) -> None:
    await exchange.reply("200 OK", b"<html>hello</html>")


async def nested_too_deeply(exchange: Exchange) -> None:
    await exchange.reply("200 OK", b'{"a":' * 20_000 + b"1" + b"}" * 20_000)


async def no_request_id(exchange: Exchange) -> None:
    await exchange.reply("200 OK", b'{"status":"IN_QUEUE"}')


async def empty_request_id(exchange: Exchange) -> None:
    await exchange.reply("200 OK", b'{"request_id":""}')


async def server_error(exchange: Exchange) -> None:
    await exchange.reply("500 Internal Server Error", b'{"detail":"oops"}')


async def nginx_504(exchange: Exchange) -> None:
    await exchange.reply("504 Gateway Time-out", b"<html>nginx</html>")


async def request_timeout(exchange: Exchange) -> None:
    await exchange.reply("408 Request Timeout")


async def redirect(exchange: Exchange) -> None:
    await exchange.reply("307 Temporary Redirect", b"", Location="/elsewhere")


async def dripping(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
    while True:
        await exchange.send(b" ")
        await asyncio.sleep(0.05)


async def endless(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await exchange.send(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


HORRORS: list[Script] = [
    dropped, half_a_head, half_a_body, garbage, bad_gzip, not_json, nested_too_deeply, no_request_id,
    empty_request_id,    server_error, nginx_504, request_timeout, redirect, dripping, endless, never,
]  # fmt: skip


@pytest.mark.parametrize("horror", HORRORS, ids=lambda horror: horror.__name__)
async def test_whatever_comes_back_the_post_is_ambiguous_and_never_repeated(horror: Script) -> None:
    marks: list[str] = []
    async with raw_server(horror) as server, gateway_at(server.url) as gateway:
        with pytest.raises(FalAmbiguous):
            await noted(marks, gateway)
        assert len(server.requests) == 1
    assert marks == ["mark"]


async def test_refused_connection_is_not_accepted_and_leaves_no_mark() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        marks: list[str] = []
        async with gateway_at(url) as gateway:
            with pytest.raises(FalNotAccepted):
                await noted(marks, gateway)
    assert marks == []


async def test_unknown_host_is_not_accepted() -> None:
    marks: list[str] = []
    async with gateway_at("http://nowhere.invalid") as gateway:
        with pytest.raises(FalNotAccepted):
            await noted(marks, gateway)
    assert marks == []


async def test_slow_mark_past_the_deadline_sends_nothing() -> None:
    async def mark() -> None:
        await asyncio.Event().wait()

    async with raw_server(never) as server, gateway_at(server.url, 0.3) as gateway:
        with pytest.raises(FalNotAccepted):
            await gateway.submit(MODEL, {}, tags={}, webhook_url=None, before_send=mark)
        assert server.requests == []


async def test_cancelled_in_the_middle_of_the_post_it_is_not_sent_again() -> None:
    marks: list[str] = []
    async with raw_server(never) as server, gateway_at(server.url, 30) as gateway:
        submit = asyncio.create_task(noted(marks, gateway))
        await asyncio.wait_for(server.arrived.wait(), 60)
        submit.cancel()
        with pytest.raises(asyncio.CancelledError):
            await submit
        assert len(server.requests) == 1
    assert marks == ["mark"]


async def test_kept_connection_that_the_server_closed_meanwhile_costs_no_submit() -> None:
    body = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(GOOD), GOOD)

    async def closes_without_a_word(exchange: Exchange) -> None:
        await exchange.send(body)

    async with raw_server(closes_without_a_word) as server, gateway_at(server.url) as gateway:
        await noted([], gateway)
        await gateway.probe()  # a round trip, in which the close reaches us
        await noted([], gateway)
        posts = [one for one in server.requests if one.request_line.startswith("POST")]
    assert len(posts) == 2


async def test_mark_is_set_before_the_first_byte_and_after_the_connection() -> None:
    order: list[str] = []

    async def script(exchange: Exchange) -> None:
        order.append(exchange.request_line.split()[0])
        await exchange.reply("200 OK", GOOD)

    async with raw_server(script) as server, gateway_at(server.url, 5) as gateway:

        async def mark() -> None:
            await gateway.probe()  # a round trip: a POST that was out already would arrive before it
            order.append("mark")

        await gateway.submit(MODEL, {}, tags={}, webhook_url=None, before_send=mark)
    assert order == ["GET", "mark", "POST"]


async def test_failing_mark_leaves_nothing_on_the_wire() -> None:
    async with raw_server(never) as server, gateway_at(server.url, 5) as gateway:

        async def mark() -> None:
            raise OSError("the store is away")

        with pytest.raises(OSError, match="store"):
            await gateway.submit(MODEL, {}, tags={}, webhook_url=None, before_send=mark)
        with pytest.raises(FalAmbiguous):  # the same server sees the next one, so it would have seen it
            async with gateway_at(server.url, 0.5) as other:
                await noted([], other)
        assert len(server.requests) == 1


async def test_reply_without_urls_or_with_strange_ones_uses_those_of_the_id() -> None:
    async def strange(exchange: Exchange) -> None:
        await exchange.reply("200 OK", GOOD[:-1] + b',"status_url":"http://thief.example/status"}')

    async with raw_server(strange) as server, gateway_at(server.url) as gateway:
        request = await noted([], gateway)
        assert request == gateway.hosts.request(MODEL, "r1")


async def test_post_carries_key_tags_and_webhook_and_no_timeout_or_storage_header() -> None:
    async def accepted(exchange: Exchange) -> None:
        await exchange.reply("200 OK", GOOD)

    async with raw_server(accepted) as server, gateway_at(server.url) as gateway:
        await noted([], gateway, webhook="https://me.example/hook?a=b")
        [request] = server.requests
    assert request.request_line.startswith("POST /fal-ai/trellis?fal_webhook=https%3A%2F%2Fme.example")
    assert request.header("authorization") == f"Key {KEY}"
    assert request.header("x-fal-tags") == "attempt=1"
    assert request.header("x-fal-request-timeout") is None
    assert request.header("x-fal-store-io") is None


async def test_retry_after_of_a_429_is_told() -> None:
    async def busy(exchange: Exchange) -> None:
        await exchange.reply("429 Too Many Requests", b'{"detail":"slow down"}', Retry_After="7")

    async with raw_server(busy) as server, gateway_at(server.url) as gateway:
        with pytest.raises(FalThrottled, match="slow down") as caught:
            await noted([], gateway)
        assert len(server.requests) == 1
    assert caught.value.retry_after == 7


async def test_422_is_rejected_once_in_fals_words() -> None:
    async def bad(exchange: Exchange) -> None:
        await exchange.reply(
            "422 Unprocessable Entity",
            b'{"detail":[{"loc":["body"],"msg":"too small","type":"image_too_small"}]}',
        )

    async with raw_server(bad) as server, gateway_at(server.url) as gateway:
        with pytest.raises(FalRejected, match="too small") as caught:
            await noted([], gateway)
        assert len(server.requests) == 1
    assert (caught.value.status, caught.value.fal_type) == (422, "image_too_small")


async def test_plain_400_is_rejected_once() -> None:
    async def bad(exchange: Exchange) -> None:
        await exchange.reply("400 Bad Request", b'{"detail":"no","error_type":"bad_request"}')

    async with raw_server(bad) as server, gateway_at(server.url) as gateway:
        with pytest.raises(FalRejected) as caught:
            await noted([], gateway)
        assert len(server.requests) == 1
    assert caught.value.fal_type == "bad_request"


async def test_backup_domain_takes_the_post_when_the_first_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def accepted(exchange: Exchange) -> None:
        await exchange.reply("200 OK", GOOD)

    marks: list[str] = []
    async with raw_server(accepted) as server:
        port = int(server.url.rsplit(":", 1)[1])
        monkeypatch.setitem(fal_client.client._BACKUP_DOMAINS, "nowhere.invalid", "127.0.0.1")
        async with gateway_at(f"http://nowhere.invalid:{port}") as gateway:
            await noted(marks, gateway)
        assert len(server.requests) == 1
    assert marks == ["mark"]


async def test_backup_domain_is_not_asked_once_the_first_has_the_post(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with raw_server(dropped) as server:
        monkeypatch.setitem(fal_client.client._BACKUP_DOMAINS, "127.0.0.1", "localhost")
        async with gateway_at(server.url) as gateway:
            with pytest.raises(FalAmbiguous):
                await noted([], gateway)
        assert len(server.requests) == 1
