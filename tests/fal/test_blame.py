"""Whom a refusal blames: the account by FAL's own words, else the endpoint that was asked."""

import pytest

from image2model.errors import FalAccountFault, FalEndpointFault, FalError, FalTransient
from image2model.fal.gateway import FalGateway
from image2model.fal.hosts import FalHosts
from tests.support.emulator_process import KEY
from tests.support.raw_server import Exchange, Script, raw_server

MODEL = "fal-ai/trellis"
LOCKED = b'{"detail":"User is locked. Reason: Exhausted balance."}'
BALANCE = b'{"detail":"Exhausted balance. Top up at fal.ai/dashboard/billing."}'
UNKNOWN = b'{"detail":"You have no access to this model."}'


def answering(status: str, body: bytes) -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.reply(status, body)

    return script


async def mark() -> None:
    """Nothing is noted."""


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        ("401 Unauthorized", UNKNOWN, FalAccountFault),
        ("403 Forbidden", LOCKED, FalAccountFault),
        ("403 Forbidden", BALANCE, FalAccountFault),
        ("403 Forbidden", UNKNOWN, FalEndpointFault),
        ("403 Forbidden", b"<html>403</html>", FalEndpointFault),
    ],
)
async def test_refused_submit(status: str, body: bytes, expected: type[FalError]) -> None:
    async with (
        raw_server(answering(status, body)) as server,
        FalGateway(KEY, FalHosts.at(server.url)) as fal,
    ):
        with pytest.raises(expected) as caught:
            await fal.submit(MODEL, {}, tags={}, webhook_url=None, before_send=mark)
        assert len(server.requests) == 1
    if isinstance(caught.value, FalEndpointFault):
        assert caught.value.endpoint == MODEL


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
async def test_refused_upload_and_platform_api_are_the_accounts_fault(status: str) -> None:
    async with (
        raw_server(answering(status, UNKNOWN)) as server,
        FalGateway(KEY, FalHosts.at(server.url)) as fal,
    ):
        with pytest.raises(FalAccountFault):
            await fal.upload(b"picture", filename="a.png", content_type="image/png")
        with pytest.raises(FalAccountFault):
            await fal.prices([MODEL])


async def test_upload_token_that_fails_is_nobodys_refusal() -> None:
    async with (
        raw_server(answering("500 Internal Server Error", b"{}")) as server,
        FalGateway(KEY, FalHosts.at(server.url)) as fal,
    ):
        with pytest.raises(FalTransient):
            await fal.upload(b"picture", filename="a.png", content_type="image/png")


@pytest.mark.parametrize(
    ("body", "reason"), [(LOCKED, "account"), (BALANCE, "account"), (UNKNOWN, "endpoint")]
)
async def test_refused_probe(body: bytes, reason: str) -> None:
    async with (
        raw_server(answering("403 Forbidden", body)) as server,
        FalGateway(KEY, FalHosts.at(server.url)) as fal,
    ):
        health = await fal.probe()
    assert (health.ok, health.reason) == (False, reason)
