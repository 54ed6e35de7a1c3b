"""Result files on hosts that are not FAL's: only from addresses of the internet, and never with the key."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from image2model.fal.errors import FalAddressRefused, FalUnreachable
from image2model.fal.gateway import FalGateway
from image2model.fal.hosts import FalHosts
from image2model.network.guard import GuardedSession
from image2model.network.resolver import Lookup
from tests.support.emulator_process import KEY
from tests.support.raw_server import Exchange, Script, raw_server
from tests.support.webhook_receiver import NAME, Receiver, certificate, receiving, resolving, trusting

PUBLIC = frozenset({"127.0.0.1"})
"""What counts as public here, so that nothing leaves this machine."""


@asynccontextmanager
async def partner(script: Script, folder: Path, lookup: Lookup) -> AsyncIterator[tuple[FalGateway, Receiver]]:
    """A host of somebody else's, by https, and a gateway that trusts its certificate."""
    cert = certificate(folder)
    async with receiving(script, cert=cert) as receiver:
        guarded = GuardedSession(
            allow_private=False,
            lookup=lookup,
            allows=PUBLIC.__contains__,
            tls=trusting(cert),
            decompress=True,
        )
        async with FalGateway(KEY, FalHosts(), other_hosts=guarded, read_deadline=2) as gateway:
            yield gateway, receiver


async def read(gateway: FalGateway, url: str) -> bytes:
    async with gateway.download(url) as file:
        return b"".join([chunk async for chunk in file.chunks()])


async def good(exchange: Exchange) -> None:
    await exchange.reply("200 OK", b"model")


async def test_file_elsewhere_is_fetched_from_the_checked_address(tmp_path: Path) -> None:
    async with partner(good, tmp_path, resolving(["10.0.0.1", "127.0.0.1", "::1"])) as (gateway, host):
        assert await read(gateway, f"https://{NAME}:{host.port}/m.glb?sig=1") == b"model"
    (request,) = host.requests
    assert request.request_line == "GET /m.glb?sig=1 HTTP/1.1"
    assert request.header("Authorization") is None
    assert request.header("Cookie") is None


async def test_name_that_turns_private_is_not_followed_there(tmp_path: Path) -> None:
    lookup = resolving(["127.0.0.1"], ["169.254.169.254"])
    async with partner(good, tmp_path, lookup) as (gateway, host):
        url = f"https://{NAME}:{host.port}/m.glb"
        assert await read(gateway, url) == b"model"
        assert lookup.asked == [NAME]  # asked once: what was checked is what is called
        with pytest.raises(FalAddressRefused, match="not lead to a public address"):
            await read(gateway, url)
    assert len(host.requests) == 1


@pytest.mark.parametrize("address", ["127.0.0.2", "::1", "10.1.1.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"])
async def test_name_of_a_private_address_is_refused(address: str, tmp_path: Path) -> None:
    async with partner(good, tmp_path, resolving([address])) as (gateway, host):
        with pytest.raises(FalAddressRefused):
            await read(gateway, f"https://{NAME}:{host.port}/m.glb")
    assert host.names == []


@pytest.mark.parametrize(
    "target",
    [
        "https://127.0.0.2/x",
        "https://[::1]/x",
        "https://2130706433/x",
        "https://0x7f.1/x",
        "https://localhost/x",
        "https://metadata.internal/x",
        "http://example.com/x",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "https://user:pass@example.com/x",
        "https://example.com:22/x",
    ],
)
async def test_each_redirect_is_judged_anew(target: str, tmp_path: Path) -> None:
    async def redirect(exchange: Exchange) -> None:
        await exchange.reply("302 Found", b"", Location=target)

    async with partner(redirect, tmp_path, resolving(["127.0.0.1"])) as (gateway, host):
        with pytest.raises(FalAddressRefused, match=r"^its URL (at .* )?(must|leads to no|is)"):
            await read(gateway, f"https://{NAME}:{host.port}/m.glb")
    assert len(host.requests) == 1


async def test_redirect_to_a_public_address_is_followed(tmp_path: Path) -> None:
    async def moved(exchange: Exchange) -> None:
        if "/a" in exchange.request_line:
            await exchange.reply("307 Temporary Redirect", b"", Location="/b")
        else:
            await good(exchange)

    async with partner(moved, tmp_path, resolving(["127.0.0.1"])) as (gateway, host):
        assert await read(gateway, f"https://{NAME}:{host.port}/a") == b"model"


async def test_redirect_of_fals_own_host_is_guarded_too() -> None:
    async with raw_server(good) as inside:

        async def away(exchange: Exchange) -> None:
            await exchange.reply("302 Found", b"", Location=f"{inside.url}/secret")

        async with raw_server(away) as fal, FalGateway(KEY, FalHosts.at(fal.url)) as gateway:
            with pytest.raises(FalAddressRefused):
                await read(gateway, f"{fal.url}/files/m.glb")
        assert inside.requests == []


async def test_host_that_is_not_there_may_be_asked_again(tmp_path: Path) -> None:
    async with partner(good, tmp_path, resolving(["127.0.0.1"])) as (gateway, host):
        url = f"https://{NAME}:{host.port}/m.glb"
    async with FalGateway(KEY, FalHosts(), other_hosts=_guarded()) as gateway:
        with pytest.raises(FalUnreachable):
            await read(gateway, url)


def _guarded() -> GuardedSession:
    return GuardedSession(allow_private=False, lookup=resolving(["127.0.0.1"]), allows=PUBLIC.__contains__)


async def test_unknown_certificate_is_not_trusted(tmp_path: Path) -> None:
    async with (
        receiving(good, cert=certificate(tmp_path)) as host,
        FalGateway(KEY, FalHosts(), other_hosts=_guarded()) as gateway,
    ):
        with pytest.raises(FalUnreachable):
            await read(gateway, f"https://{NAME}:{host.port}/m.glb")
    assert host.requests == []
