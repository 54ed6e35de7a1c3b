"""Downloads: whole files or an error, from media hosts alone, and never with the key."""

import pytest

from image2model.errors import FalResultGone
from image2model.fal.download import CHUNK
from image2model.fal.endpoints import DEFAULT_MODEL
from image2model.fal.errors import FalAddressRefused, FalUnreachable
from image2model.fal.gateway import FalGateway, other_hosts_session
from image2model.fal.hosts import FalHosts
from tests.fal.buyer import Buyer
from tests.support.emulator_process import KEY, EmulatorProcess
from tests.support.endpoints import endpoint_of
from tests.support.raw_server import Exchange, Script, never, raw_server


async def read(fal: FalGateway, url: str) -> tuple[int | None, list[bytes]]:
    async with fal.download(url) as file:
        return file.size, [chunk async for chunk in file.chunks()]


async def test_model_arrives_whole(buyer: Buyer, fal: FalGateway) -> None:
    result = await fal.result(endpoint_of(DEFAULT_MODEL), await buyer.buy())
    assert result.model is not None
    size, chunks = await read(fal, result.model.url)
    whole = b"".join(chunks)
    assert whole.startswith(b"glTF")
    assert size == len(whole)


async def test_missing_model_is_gone(buyer: Buyer, fal: FalGateway, emulator: EmulatorProcess) -> None:
    emulator.fault("model_missing", count=1)
    result = await fal.result(endpoint_of(DEFAULT_MODEL), await buyer.buy())
    assert result.model is not None
    with pytest.raises(FalResultGone):
        await read(fal, result.model.url)


async def downloaded(script: Script) -> tuple[list[bytes], list[Exchange]]:
    async with (
        raw_server(script) as server,
        FalGateway(KEY, FalHosts.at(server.url), read_deadline=0.3) as gateway,
    ):
        _, chunks = await read(gateway, f"{server.url}/files/a.glb")
        return chunks, server.requests


async def test_key_is_never_sent_with_a_download_and_chunks_are_large() -> None:
    async def large(exchange: Exchange) -> None:
        await exchange.reply("200 OK", b"x" * 1_000_000)

    chunks, [request] = await downloaded(large)
    assert sum(map(len, chunks)) == 1_000_000
    assert all(len(chunk) >= CHUNK for chunk in chunks[:-1])
    assert request.header("authorization") is None


async def test_redirect_within_the_media_hosts_is_followed() -> None:
    async def moved(exchange: Exchange) -> None:
        if "a.glb" in exchange.request_line:
            await exchange.reply("302 Found", b"", Location="/files/b.glb")
        else:
            await exchange.reply("200 OK", b"b")

    chunks, _ = await downloaded(moved)
    assert chunks == [b"b"]


@pytest.mark.parametrize(
    "location", ["http://169.254.169.254/latest", "file:///etc/passwd", "//evil.example/"]
)
async def test_redirect_to_an_address_that_is_not_public_is_refused(location: str) -> None:
    async def away(exchange: Exchange) -> None:
        await exchange.reply("302 Found", b"", Location=location)

    with pytest.raises(FalAddressRefused):
        await downloaded(away)


async def test_circle_of_redirects_ends() -> None:
    async def circle(exchange: Exchange) -> None:
        await exchange.reply("302 Found", b"", Location="/files/a.glb")

    with pytest.raises(FalUnreachable, match="redirects"):
        await downloaded(circle)


async def stalled(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
    await never(exchange)


async def cut(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")


async def cut_chunked(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")


async def busy(exchange: Exchange) -> None:
    await exchange.reply("503 x", b"")


@pytest.mark.parametrize("script", [never, stalled, cut, cut_chunked, busy])
async def test_file_that_does_not_arrive_whole_may_be_asked_for_again(script: Script) -> None:
    with pytest.raises(FalUnreachable):
        await downloaded(script)


async def test_error_of_the_reader_comes_out_as_it_is(buyer: Buyer, fal: FalGateway) -> None:
    result = await fal.result(endpoint_of(DEFAULT_MODEL), await buyer.buy())
    assert result.model is not None
    with pytest.raises(OSError, match="disk full"):
        async with fal.download(result.model.url):
            raise OSError("disk full")


@pytest.mark.parametrize(
    "url",
    ["https://10.0.0.1/a.glb", "file:///etc/passwd", "http://v3.fal.media/a", "https://u:p@a.example/", ""],
)
async def test_url_that_is_not_public_is_refused_without_a_request(url: str, fal: FalGateway) -> None:
    with pytest.raises(FalAddressRefused):
        await read(fal, url)


@pytest.mark.parametrize("ends", ["cut", "unreachable", "refused"])
async def test_url_of_a_file_is_in_no_error(ends: str) -> None:
    """A host that redirects to a storage signs the URL: whoever reads it in a log has the file."""

    async def moved(exchange: Exchange) -> None:
        if "a.glb" not in exchange.request_line:
            await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")
            return
        where = {"cut": "", "unreachable": "http://127.0.0.1:1", "refused": "https://10.0.0.1"}[ends]
        await exchange.reply("302 Found", b"", Location=f"{where}/files/b.glb?X-Amz-Signature=secret")

    guarded = other_hosts_session(allow_private=ends == "unreachable")
    async with (
        raw_server(moved) as server,
        FalGateway(KEY, FalHosts.at(server.url), read_deadline=0.3, other_hosts=guarded) as gateway,
    ):
        with pytest.raises((FalUnreachable, FalAddressRefused)) as caught:
            await read(gateway, f"{server.url}/files/a.glb?token=secret")
    assert "secret" not in caught.value.message
    assert "its URL at" in caught.value.message
