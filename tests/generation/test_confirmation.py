"""Prepared pictures that wait for a client: given, refused, too late, given twice, given after a kill."""

import asyncio
import signal

import pytest

from image2model.domain import Counts, ImageStatus, Preparation, WaitingFor
from image2model.errors import AlreadyFinished, NotReady
from image2model.jobs import records
from image2model.jobs.confirmation import confirm
from image2model.queue import reconciliation
from image2model.store import arq_keys
from image2model.store.keys import Queue, key
from image2model.store.records import ImageRow, JobSnapshot
from tests.support.fleet import MODEL, Fleet, failed_codes
from tests.support.gate import calls
from tests.support.sketches import picture
from tests.support.stage import Stage

REMOVER = "fal-ai/bria/background/remove"
LOOKED_AT = Preparation(remove_background=REMOVER, confirm_prepared=True)
CROPPED = Preparation(crop=True, confirm_prepared=True)
QUEUE = arq_keys.queue_key(Queue.GENERATION)


def bought(fleet: Fleet) -> list[str]:
    return [entry["endpoint"] for entry in fleet.emulator.submissions()]


async def waits(fleet: Fleet, job_id: str) -> ImageRow:
    """The image, once it waits for its confirmation, and its job says so."""

    def told(job: JobSnapshot) -> bool:
        return job.job.waiting_for is WaitingFor.CONFIRMATION

    job = await fleet.until(job_id, told)
    (image,) = job.images
    assert image.status is ImageStatus.QUEUED
    assert image.preparation is not None
    assert image.preparation.awaits_confirmation
    return image


async def submitted(fleet: Fleet, preparation: Preparation = LOOKED_AT, **more: object) -> tuple[str, str]:
    """A job of one picture that waits for its confirmation, and its image."""
    job_id = await fleet.submit(
        preparation=preparation,
        unit_micro=300_000,
        cutout_micro=18_000,
        **more,  # type: ignore[arg-type]
    )
    return job_id, (await waits(fleet, job_id)).image_id


async def answer(fleet: Fleet, job_id: str, image_id: str, *, accept: bool = True) -> JobSnapshot:
    return await confirm(fleet.redis, "ann", job_id, image_id, accept=accept)


async def test_waiting_image_holds_neither_lease_nor_permit_and_goes_on_when_confirmed(fleet: Fleet) -> None:
    fleet.start_worker()
    job_id, image_id = await submitted(fleet)
    assert await fleet.redis.zscore(QUEUE, image_id) == arq_keys.AWAITING_CONFIRMATION
    for held in (key("permits"), key("ahead"), key("leases", Queue.GENERATION)):
        assert await fleet.redis.zcard(held) == 0
    assert bought(fleet) == [REMOVER]
    await answer(fleet, job_id, image_id)
    job = await fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=1)
    assert bought(fleet) == [REMOVER, MODEL]


async def test_refused_picture_is_cancelled_and_its_model_not_bought(fleet: Fleet) -> None:
    fleet.start_worker()
    job_id, image_id = await submitted(fleet)
    for _ in range(2):
        job = await answer(fleet, job_id, image_id, accept=False)
        assert job.counts == Counts(cancelled=1)
    with pytest.raises(AlreadyFinished):
        await answer(fleet, job_id, image_id)
    assert bought(fleet) == [REMOVER]
    assert await fleet.redis.zcard(key("confirmations")) == 0
    assert int(await fleet.redis.hget(key("account", "ann"), "reserved") or 0) == 0


@pytest.mark.long
async def test_given_twice_is_bought_once(fleet: Fleet) -> None:
    fleet.start_worker()
    job_id, image_id = await submitted(fleet)
    await asyncio.gather(*(answer(fleet, job_id, image_id) for _ in range(5)))
    await fleet.until_finished(job_id)
    job = await answer(fleet, job_id, image_id)  # also when it has ended
    assert job.counts == Counts(succeeded=1)
    assert bought(fleet) == [REMOVER, MODEL]
    with pytest.raises(AlreadyFinished):
        await answer(fleet, job_id, image_id, accept=False)


@pytest.mark.long
async def test_too_late_fails_and_a_retry_waits_again(fleet: Fleet) -> None:
    worker = fleet.start_worker()
    job_id, image_id = await submitted(fleet)
    await fleet.redis.zadd(key("confirmations"), {image_id: 1})
    job = await fleet.until_finished(job_id)
    assert failed_codes(job) == ["not_confirmed"]
    assert job.images[0].error is not None
    assert job.images[0].error.retryable
    with pytest.raises(AlreadyFinished):
        await answer(fleet, job_id, image_id)
    await records.retry(fleet.redis, job_id, None, None, low_priority=False)
    await waits(fleet, job_id)
    assert await fleet.redis.zscore(key("confirmations"), image_id) > 1
    await answer(fleet, job_id, image_id)
    assert (await fleet.until_finished(job_id)).counts == Counts(succeeded=1)
    assert bought(fleet) == [REMOVER, MODEL]
    assert worker.log.read_text().count('"cutout_stored"') == 1


@pytest.mark.long
async def test_not_prepared_yet_cannot_be_confirmed(fleet: Fleet) -> None:
    job_id = await fleet.submit(preparation=LOOKED_AT)
    other = await fleet.submit()
    for one in (job_id, other):
        (image,) = (await fleet.job(one)).images
        with pytest.raises(NotReady):
            await answer(fleet, one, image.image_id)


@pytest.mark.long
@pytest.mark.parametrize("known", [False, True])
async def test_killed_before_and_after_it_waits(stage: Stage, known: bool) -> None:
    hold = stage.store.hold(calls("generation/await_confirmation"), answer=known)
    worker = stage.start_worker()
    job_id = await stage.fleet.submit(preparation=LOOKED_AT, unit_micro=300_000, cutout_micro=18_000)
    await hold.reached.wait()
    worker.send(signal.SIGKILL)
    await worker.exit_code()
    stage.start_worker()
    image = await waits(stage.fleet, job_id)
    await answer(stage.fleet, job_id, image.image_id)
    job = await stage.fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=1)
    assert bought(stage.fleet) == [REMOVER, MODEL]


@pytest.mark.long
async def test_given_while_no_worker_lives_and_after_a_kill(fleet: Fleet) -> None:
    worker = fleet.start_worker()
    job_id, image_id = await submitted(fleet)
    worker.send(signal.SIGKILL)
    await worker.exit_code()
    await answer(fleet, job_id, image_id)
    fleet.start_worker()
    assert (await fleet.until_finished(job_id)).counts == Counts(succeeded=1)
    assert bought(fleet) == [REMOVER, MODEL]


@pytest.mark.long
async def test_given_before_it_waits_is_not_lost(stage: Stage) -> None:
    """The picture is prepared, and the worker is about to let it wait."""
    hold = stage.store.hold(calls("generation/await_confirmation"), answer=False)
    stage.start_worker(I2M_LEASE_SECONDS="30")
    job_id = await stage.fleet.submit(preparation=LOOKED_AT)
    await hold.reached.wait()
    (image,) = (await stage.fleet.job(job_id)).images
    await answer(stage.fleet, job_id, image.image_id)
    hold.release()
    assert (await stage.fleet.until_finished(job_id)).counts == Counts(succeeded=1)
    assert bought(stage.fleet) == [REMOVER, MODEL]


@pytest.mark.long
async def test_equal_picture_that_needs_no_confirmation_does_not_wait_for_one(fleet: Fleet) -> None:
    fleet.start_worker()
    same = [picture(7, (48, 32))]
    job_id, image_id = await submitted(fleet, CROPPED, pictures=same, reuse=True)
    other = await fleet.submit(pictures=same, preparation=Preparation(crop=True), reuse=True)
    assert (await fleet.until_finished(other)).counts == Counts(succeeded=1)
    await answer(fleet, job_id, image_id)
    job = await fleet.until_finished(job_id)
    assert (job.images[0].cached, bought(fleet)) == (True, [MODEL])


@pytest.mark.long
async def test_cancel_of_the_job_ends_what_waits(fleet: Fleet) -> None:
    fleet.start_worker()
    job_id, _ = await submitted(fleet, CROPPED)
    await records.cancel(fleet.redis, job_id)
    assert (await fleet.job(job_id)).counts == Counts(cancelled=1)
    assert await fleet.redis.zcard(key("confirmations")) == 0


@pytest.mark.long
async def test_reconciler_lets_a_waiting_image_wait_and_finds_one_that_is_lost(fleet: Fleet) -> None:
    fleet.start_worker()
    job_id, image_id = await submitted(fleet, CROPPED)
    assert await reconciliation.repair(fleet.redis, job_id) == 0
    before = await fleet.redis.hget(key("image", image_id), "confirm_by")
    await fleet.redis.zrem(key("confirmations"), image_id)
    assert await reconciliation.repair(fleet.redis, job_id) == 1

    async def back() -> float | None:
        return float(await fleet.redis.zscore(key("confirmations"), image_id) or 0)

    async with asyncio.timeout(20):
        while await back() != float(before or 0):
            await asyncio.sleep(0.02)
