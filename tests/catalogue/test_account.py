"""The balance of FAL's account, and how far FAL's bills are from our quotes."""

from collections.abc import Iterator

import pytest
from redis.asyncio import Redis

from image2model.catalogue import balance, bills
from image2model.catalogue.bills import NotedBill
from image2model.catalogue.credits import CreditsReader
from image2model.cli.commands.doctor import check_account, check_catalogue
from image2model.cli.commands.doctor_findings import State
from image2model.fal.hosts import FalHosts
from tests.support.emulator_process import EmulatorProcess, emulator_process
from tests.support.served_api import Service

MODEL = "fal-ai/trellis"
ADMIN_KEY = "admin:secret"


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorProcess]:
    """FAL, with a balance of $1,000."""
    with emulator_process() as running:
        yield running


async def test_balance_is_read_once_for_the_fleet(redis: Redis, emulator: EmulatorProcess) -> None:
    reader = CreditsReader(redis, FalHosts.at(emulator.url), ADMIN_KEY)
    assert await balance.read(redis) is None
    assert await reader.read_if_due()
    assert not await reader.read_if_due()  # another worker did so lately
    found = await balance.read(redis)
    assert found is not None
    assert (found.micro, found.enough_for, found.low, found.warning) == (1_000_000_000, None, False, "")


async def test_enough_for_few_more_is_said_before_fal_refuses(
    redis: Redis, emulator: EmulatorProcess, service: Service
) -> None:
    await CreditsReader(redis, FalHosts.at(emulator.url), ADMIN_KEY).read_if_due()
    await bills.note(redis, [NotedBill(MODEL, 50_000_000)] * 3)
    found = service.get("admin/stats").body["fal_balance"]
    assert isinstance(found, dict)
    assert (found["balance_usd"], found["enough_for"]) == (1000.0, 20)
    assert "enough for 20 more" in found["warning"]
    metrics = service.get("/metrics").content.decode()
    assert "image2model_fal_balance_usd 1000.0" in metrics
    assert "image2model_fal_balance_pictures 20.0" in metrics
    (finding,) = await check_account(redis)
    assert finding.state is State.WARNING
    assert "20 more" in finding.detail


async def test_key_that_fal_refuses_is_said(redis: Redis) -> None:
    dead = FalHosts.at("http://127.0.0.1:9")
    assert not await CreditsReader(redis, dead, ADMIN_KEY).read_if_due()
    found = await balance.read(redis)
    assert found is not None
    assert found.micro is None
    assert "cannot be read" in found.warning
    (finding,) = await check_account(redis)
    assert finding.state is State.WARNING


@pytest.mark.parametrize(("billed", "large"), [(105_000, False), (112_000, True), (85_000, True)])
async def test_bills_that_drift_from_the_quotes_are_shown(
    redis: Redis, service: Service, billed: int, *, large: bool
) -> None:
    bill = NotedBill(MODEL, billed, (billed, 100_000))
    await bills.note(redis, [bill] * (bills.FEWEST - 1))
    assert await bills.drifts(redis) == []  # too few to say anything
    await bills.note(redis, [bill])
    shown = service.get("admin/stats").items("price_drift")
    assert [one["model"] for one in shown] == ([MODEL] if large else [])
    assert f'image2model_price_drift_ratio{{model="{MODEL}"}}' in service.get("/metrics").content.decode()
    assert bool(await check_account(redis)) is large


async def test_only_the_last_bookings_count(redis: Redis) -> None:
    await bills.note(redis, [NotedBill(MODEL, 2, (200_000, 100_000))] * bills.KEPT)
    for _ in range(bills.KEPT):
        await bills.note(redis, [NotedBill(MODEL, 1, (100_000, 100_000))])
    (drift,) = await bills.drifts(redis)
    assert (drift.bookings, drift.ratio) == (bills.KEPT, 0.0)


async def test_doctor_says_how_old_the_list_is(redis: Redis) -> None:
    (finding,) = await check_catalogue(redis)
    assert finding.state is State.WARNING
