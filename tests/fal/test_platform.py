"""The platform API and the probe: finding a lost submit, prices, health."""

from datetime import UTC, datetime, timedelta

import pytest

from image2model.errors import FalAmbiguous
from image2model.fal.endpoints import DEFAULT_MODEL, derive
from image2model.fal.gateway import FalGateway
from image2model.fal.hosts import FalHosts
from image2model.fal.wire import decode
from tests.fal.buyer import Buyer
from tests.support.emulator_process import KEY, EmulatorProcess
from tests.support.endpoints import ENDPOINTS
from tests.support.raw_server import Exchange, raw_server


async def test_submit_whose_reply_was_lost_is_found_by_its_url(
    buyer: Buyer, fal: FalGateway, emulator: EmulatorProcess
) -> None:
    since = datetime.now(UTC) - timedelta(seconds=60)
    await buyer.upload()
    emulator.fault("drop_after_accept", count=1)
    with pytest.raises(FalAmbiguous):
        await buyer.submit()
    found = await fal.find_submission(DEFAULT_MODEL, buyer.image_url, since)
    [submission] = emulator.submissions()
    assert found == fal.hosts.request(DEFAULT_MODEL, submission["request_id"])
    assert (await buyer.follow(found))[-1].error is None


async def test_url_that_was_never_submitted_is_not_found(buyer: Buyer, fal: FalGateway) -> None:
    await buyer.upload()
    assert await fal.find_submission(DEFAULT_MODEL, buyer.image_url, datetime.now(UTC)) is None


async def test_listing_is_read_to_its_last_page() -> None:
    pages = {
        None: b'{"items":[{"request_id":"a","json_input":{"image_url":"https://x/1"}}],"next_cursor":"c2"}',
        "c2": b'{"items":[{"request_id":"b","json_input":"{\\"image_url\\":\\"https://x/2\\"}"}]}',
    }

    async def script(exchange: Exchange) -> None:
        await exchange.reply("200 OK", pages["c2" if "cursor=c2" in exchange.request_line else None])

    async with raw_server(script) as server, FalGateway(KEY, FalHosts.at(server.url)) as fal:
        found = await fal.find_submission(DEFAULT_MODEL, "https://x/2", datetime.now(UTC))
        assert found is not None
        assert found.request_id == "b"


async def test_prices_and_documents_by_endpoint(fal: FalGateway) -> None:
    prices = await fal.prices(ENDPOINTS)
    assert prices["fal-ai/trellis"].unit_price == 0.02
    [found] = [entry async for page in fal.models_named([DEFAULT_MODEL, "no/such"]) for entry in page]
    assert found.endpoint_id == DEFAULT_MODEL
    assert derive(DEFAULT_MODEL, decode(bytes(found.openapi), dict[str, object])).parameters


async def test_probe_is_ok_on_a_good_key_and_buys_nothing(fal: FalGateway, emulator: EmulatorProcess) -> None:
    assert (await fal.probe()).ok
    assert emulator.submissions() == []


async def test_probe_blames_the_account_or_the_network() -> None:
    async def refused(exchange: Exchange) -> None:
        await exchange.reply("401 x", b'{"detail":"no such key"}')

    async with raw_server(refused) as server, FalGateway(KEY, FalHosts.at(server.url)) as fal:
        health = await fal.probe()
        assert (health.ok, health.reason) == (False, "account")
        assert "no such key" in health.detail
    async with FalGateway(KEY, FalHosts.at(server.url)) as fal:
        assert (await fal.probe()).reason == "unreachable"


async def test_observer_is_told_every_call_and_its_outcome(emulator: EmulatorProcess) -> None:
    told: list[tuple[str, str]] = []

    def observer(operation: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        told.append((operation, outcome))

    async with FalGateway(KEY, FalHosts.at(emulator.url), observer=observer, submit_deadline=1) as fal:
        buyer = Buyer(fal)
        await buyer.buy()
        emulator.fault("drop_after_accept", count=1)
        with pytest.raises(FalAmbiguous):
            await buyer.submit()
    assert told == [("upload", "ok"), ("submit", "ok"), ("stream", "ok"), ("submit", "ambiguous")]
