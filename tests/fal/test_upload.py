"""Uploads: one token for many, a second way when the media host fails, a URL that is the attempt's alone."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from image2model.errors import FalAccountFault, FalTransient
from image2model.fal.gateway import FalGateway
from image2model.fal.hosts import FalHosts
from tests.fal.buyer import Buyer
from tests.support.emulator_process import KEY
from tests.support.raw_server import Exchange, RawServer, Script, raw_server
from tests.support.sketches import picture


async def test_uploaded_picture_is_served_as_it_was(buyer: Buyer, fal: FalGateway) -> None:
    async with fal.download(await buyer.upload()) as file:
        assert b"".join([chunk async for chunk in file.chunks()]) == picture()


async def test_ten_megabytes_arrive_whole(fal: FalGateway) -> None:
    data = bytes(range(256)) * 40_000
    url = await fal.upload(data, filename="big.png", content_type="image/png")
    async with fal.download(url) as file:
        assert b"".join([chunk async for chunk in file.chunks()]) == data


async def test_same_picture_twice_has_two_urls(buyer: Buyer) -> None:
    assert await buyer.upload() != await buyer.upload()


class MediaHost:
    """Answers token and upload calls; `lifetime` of its tokens in seconds."""

    def __init__(self, lifetime: float = 3600) -> None:
        self.lifetime = lifetime
        self.tokens = 0

    async def __call__(self, exchange: Exchange) -> None:
        if "/storage/auth/token" in exchange.request_line:
            self.tokens += 1
            await exchange.reply("200 OK", self.token())
        else:
            await exchange.reply("200 OK", b'{"access_url":"https://v3.fal.media/f"}')

    def token(self) -> bytes:
        end = datetime.now(UTC) + timedelta(seconds=self.lifetime)
        fields = {"token": f"t{self.tokens}", "token_type": "Bearer", "base_url": "x", "expires_at": end}
        return msgspec.json.encode(fields)


async def uploads(server: RawServer, count: int = 1) -> list[str]:
    async with FalGateway(KEY, FalHosts.at(server.url)) as fal:
        return await asyncio.gather(
            *(
                fal.upload(b"x", filename="../../e v/\r\nil.png", content_type="image/png")
                for _ in range(count)
            )
        )


async def test_uploads_at_once_share_one_token_and_never_carry_the_key() -> None:
    host = MediaHost()
    async with raw_server(host) as server:
        await uploads(server, 10)
        posts = [one for one in server.requests if "/files/upload" in one.request_line]
    assert host.tokens == 1
    assert {one.header("authorization") for one in posts} == {"Bearer t1"}


async def test_name_is_made_unique_and_harmless() -> None:
    async with raw_server(MediaHost()) as server:
        await uploads(server, 2)
        names = {one.header("x-fal-file-name") or "" for one in server.requests} - {""}
    assert len(names) == 2
    assert all(name.endswith("e_v_il.png") and "/" not in name for name in names)


async def test_token_about_to_expire_is_fetched_again() -> None:
    host = MediaHost(lifetime=30)
    async with raw_server(host) as server, FalGateway(KEY, FalHosts.at(server.url)) as fal:
        for _ in range(2):
            await fal.upload(b"x", filename="a.png", content_type="image/png")
    assert host.tokens == 2


async def test_refused_token_is_replaced_once() -> None:
    host = MediaHost()

    async def script(exchange: Exchange) -> None:
        if exchange.header("authorization") == "Bearer t1":
            await exchange.reply("401 x", b"{}")
        else:
            await host(exchange)

    async with raw_server(script) as server:
        assert await uploads(server) == ["https://v3.fal.media/f"]
    assert host.tokens == 2


async def test_older_storage_takes_over_without_the_key_on_its_url() -> None:
    async def script(exchange: Exchange) -> None:
        if "/storage/upload/initiate" in exchange.request_line:
            slot = {"upload_url": f"{server.url}/put-here", "file_url": "https://v3.fal.media/g"}
            await exchange.reply("200 OK", msgspec.json.encode(slot))
        elif exchange.request_line.startswith("PUT /put-here"):
            await exchange.reply("200 OK")

    async with raw_server(script) as server:
        assert await uploads(server) == ["https://v3.fal.media/g"]
        assert server.requests[-1].body == b"x"
        assert server.requests[-1].header("authorization") is None


async def test_connection_that_was_closed_while_idle_costs_no_upload() -> None:
    host = MediaHost()

    async def closes_without_a_word(exchange: Exchange) -> None:
        if "/storage/auth/token" in exchange.request_line:
            body = host.token()
            await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        else:
            await host(exchange)

    async with raw_server(closes_without_a_word) as server:
        assert await uploads(server) == ["https://v3.fal.media/f"]
        assert not any("initiate" in one.request_line for one in server.requests)


def always(status: str, body: bytes = b"{}") -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.reply(status, body)

    return script


async def test_failing_both_ways_is_transient() -> None:
    async with raw_server(always("500 x")) as server:
        with pytest.raises(FalTransient, match="both ways"):
            await uploads(server)


@pytest.mark.parametrize(
    ("status", "body", "fal_type"),
    [("401 x", b"{}", None), ("403 x", b'{"detail":"User is locked. Reason: x"}', "locked")],
)
async def test_bad_key_is_the_accounts_fault(status: str, body: bytes, fal_type: str | None) -> None:
    async with raw_server(always(status, body)) as server:
        with pytest.raises(FalAccountFault) as caught:
            await uploads(server)
    assert caught.value.fal_type == fal_type
