"""An account that runs few at once, as a whole: real workers, and an emulator whose limits change.

Orders are read from the emulator's ledger, not from a clock.
"""

import asyncio
from typing import Any

import pytest

from image2model.queue import window
from image2model.queue.window import FalConcurrency, Window
from image2model.store.keys import key
from tests.queue.window import measure
from tests.support.fleet import MODEL, Fleet
from tests.support.wait import until

OTHER = "fal-ai/trellis"
# On a busy machine an end can be heard of later than the start that follows it. For that long FAL seems to
# run one more, and one more then waits there until the next measurement.
LATE_ENDS = 1


def concurrency(fleet: Fleet, account: int, **endpoints: int | None) -> None:
    """What FAL runs at once from now on."""
    body = {"account": account, "endpoints": endpoints}
    fleet.emulator.http.post("/_emulator/concurrency", json=body).raise_for_status()


def ended(fleet: Fleet) -> int:
    """How many requests FAL has ended."""
    return sum(entry["finished_at"] is not None for entry in fleet.emulator.submissions())


async def learned(fleet: Fleet) -> Window:
    """What the service knows of the account."""
    return await window.read(fleet.redis, FalConcurrency())


async def until_submitted(fleet: Fleet, count: int) -> None:
    """Wait until FAL has accepted so many."""

    async def accepted() -> bool:
        return len(fleet.emulator.submissions()) >= count

    await until(accepted, timeout=30)


async def sent_or_next(fleet: Fleet, image_id: str) -> set[str]:
    """Wait until this image is ready for its POST; returns the images that FAL had, or had a permit, then.

    And those whose turn came before its own and that took longer to prepare. How long that takes is
    the machine's affair; from then on nobody else may come before it.
    """
    sent: set[str] = set()

    async def ready() -> bool:
        # first what was sent, then what holds a permit: nothing is generated between the two
        sent.update(entry["tags"]["i2m.image"] for entry in fleet.emulator.submissions())
        async with fleet.redis.pipeline(transaction=True) as pipe:
            pipe.zscore(key("prepared"), image_id)
            pipe.zrange(key("permits"), 0, -1)
            pipe.zrange(key("ahead"), 0, -1, withscores=True)
            prepared, permits, ahead = await pipe.execute()
        sent.update(one.decode() for one in permits)
        sent.update(one.decode() for one, tag in ahead if prepared is not None and tag < prepared)
        return prepared is not None or image_id in sent

    await until(ready, timeout=30)
    return sent


async def until_limit(fleet: Fleet, limit: int) -> int:
    """Wait until the service has learned this; returns how many requests ended meanwhile."""
    before = ended(fleet)

    async def reached() -> bool:
        return limit <= (await learned(fleet)).limit <= limit + LATE_ENDS

    await until(reached, timeout=60)
    return ended(fleet) - before


def before(entries: list[dict[str, Any]], image_id: str, models: set[str]) -> tuple[int, int]:
    """How many requests for these models were unfinished when FAL accepted this image's, and how many of
    those started after that and before it."""
    (one,) = (entry for entry in entries if entry["tags"]["i2m.image"] == image_id)
    others = [entry for entry in entries if entry is not one and entry["endpoint"] in models]
    there = [
        entry
        for entry in others
        if entry["accepted_at"] < one["accepted_at"] and entry["finished_at"] > one["accepted_at"]
    ]
    overtook = [entry for entry in there if one["accepted_at"] < entry["started_at"] < one["started_at"]]
    return len(there), len(overtook)


@pytest.mark.long
async def test_second_keys_picture_waits_for_what_runs_and_the_look_ahead(fleet: Fleet) -> None:
    concurrency(fleet, 2)
    fleet.emulator.settings(latency=3.0)
    fleet.start_worker(I2M_FAL_CONCURRENCY="auto")
    await fleet.submit(30, owner="crowd")
    await until_submitted(fleet, 5)
    job = await fleet.submit(1, owner="ann")
    (image,) = (await fleet.job(job)).images
    first = await sent_or_next(fleet, image.image_id)
    await fleet.until_finished(job)
    entries = fleet.emulator.submissions()
    order = [entry["tags"]["i2m.image"] for entry in entries]
    assert set(order[: order.index(image.image_id)]) <= first
    unfinished, overtook = before(entries, image.image_id, {MODEL})
    assert unfinished <= 2 + LATE_ENDS
    assert overtook <= 1 + LATE_ENDS
    assert 2 <= (await learned(fleet)).limit <= 2 + LATE_ENDS
    assert 3 <= fleet.emulator.ledger()["max_in_flight"] <= 3 + LATE_ENDS


@pytest.mark.long
async def test_cold_starts_endpoints_and_other_programs_leave_the_limit_and_the_order(fleet: Fleet) -> None:
    concurrency(fleet, 2, **{OTHER: 1})
    fleet.emulator.settings(latency=2.0, cold_start=0.7)
    fleet.start_worker(I2M_FAL_CONCURRENCY="auto")
    crowd = [await fleet.submit(8, owner="crowd", model=model) for model in (OTHER, MODEL)]
    await until_submitted(fleet, 4)
    background = {"rate": 0.2, "latency": 1.6, "endpoint": "fal-ai/triposr"}
    fleet.emulator.http.post("/_emulator/background", json=background).raise_for_status()
    limits: set[int] = set()
    seen = asyncio.create_task(_watch(fleet, limits))
    await until_submitted(fleet, 7)
    job = await fleet.submit(1, owner="ann")
    (image,) = (await fleet.job(job)).images
    first = await sent_or_next(fleet, image.image_id)
    await fleet.until_finished(job)
    entries = fleet.emulator.submissions()
    order = [entry["tags"]["i2m.image"] for entry in entries]
    assert set(order[: order.index(image.image_id)]) <= first
    for one in crowd:
        await fleet.until_finished(one, 60)
    seen.cancel()
    assert max(limits) <= 2 + LATE_ENDS
    assert 1 <= (await learned(fleet)).limit <= 2 + LATE_ENDS


async def _watch(fleet: Fleet, limits: set[int]) -> None:
    while True:
        limits.add((await learned(fleet)).limit)
        await asyncio.sleep(0.1)


@pytest.mark.long
async def test_limit_that_rises_and_falls_is_followed_within_ten_ends(fleet: Fleet) -> None:
    concurrency(fleet, 2)
    fleet.emulator.settings(latency=3.0)
    fleet.start_worker(I2M_FAL_CONCURRENCY="auto")
    await fleet.submit(150, owner="crowd")
    await until_submitted(fleet, 4)
    concurrency(fleet, 10)
    assert await until_limit(fleet, 10) <= 10
    await until_submitted(fleet, 40)
    concurrency(fleet, 2)
    assert await until_limit(fleet, 2) <= 10

    async def as_few() -> bool:
        found = await learned(fleet)
        return found.running + found.waiting <= 3

    await until(as_few, timeout=30)


@pytest.mark.long
async def test_learned_number_outlives_the_workers(fleet: Fleet) -> None:
    concurrency(fleet, 6)
    fleet.emulator.settings(latency=1.0)
    worker = fleet.start_worker(I2M_FAL_CONCURRENCY="auto")
    await fleet.until_finished(await fleet.submit(20))
    assert 6 <= (await learned(fleet)).limit <= 6 + LATE_ENDS
    await worker.end()
    fleet.emulator.reset(latency=3.0)
    job = await fleet.submit(10)
    fleet.start_worker(I2M_FAL_CONCURRENCY="auto")
    await until_submitted(fleet, 7)
    assert ended(fleet) == 0
    await fleet.until_finished(job)


@pytest.mark.long
@pytest.mark.parametrize("at_once", [2, 10])
async def test_pictures_take_no_longer_than_with_everything_handed_over(at_once: int) -> None:
    """In one run, since machines differ. `python -m tests.queue.window` compares with what FAL needs."""
    everything = await measure(60, at_once, 6 * at_once / 60, known="1000")
    run = await measure(60, at_once, 6 * at_once / 60)
    assert at_once <= run.limit <= at_once + LATE_ENDS
    assert run.took / everything.took <= 1.3
