"""FAL's late words about a cut-out: its id by a webhook, its end after the image was given up."""

import signal

import pytest
from redis.asyncio import Redis

from image2model.domain import Counts, FalRequest, ImageError, ImageStatus, Preparation
from image2model.generation import loading, phases, steps
from image2model.jobs import records
from image2model.queue import leases
from image2model.store import job_reads
from image2model.store.durability import Replicas
from image2model.store.keys import Queue, key
from tests.support.fleet import MODEL
from tests.support.jobs import book, new_job, pick, take_permit
from tests.support.ports import free_port
from tests.support.prepared_steps import REMOVER, end_phase
from tests.support.stage import Stage

CUT = Preparation(remove_background=REMOVER)
PRICE, CUTOUT_PRICE = 300_000, 18_000


@pytest.mark.long
async def test_cutout_whose_reply_was_lost_is_found_by_the_webhook(stage: Stage) -> None:
    port = free_port()
    public = {"I2M_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    stage.fleet.emulator.settings(latency=4, lookup_lag=600)
    stage.fleet.emulator.fault("lookup_lag", rate=1)
    hold = stage.fal.hold(lambda message: message.startswith(b"POST /fal-ai/bria/"), answer=True)
    await stage.fleet.start_api(port, **stage.settings(), **public)
    worker = stage.start_worker(**public)
    job_id = await stage.fleet.submit(preparation=CUT, unit_micro=PRICE, cutout_micro=CUTOUT_PRICE)
    await hold.reached.wait()
    worker.send(signal.SIGKILL)
    stage.start_worker(**public)
    job = await stage.fleet.until_finished(job_id, timeout=60)
    assert job.counts == Counts(succeeded=1)
    assert [one["endpoint"] for one in stage.fleet.submissions_of(job)] == [REMOVER, MODEL]


async def reserved(redis: Redis) -> int:
    return int(await redis.hget(key("account", "ann"), "reserved") or 0)


async def unconfirmed(redis: Redis) -> tuple[str, leases.Claim]:
    """A job of one picture, whose cut-out was posted, and perhaps accepted."""
    job = new_job(
        1,
        "ann",
        model=MODEL,
        unit_micro=PRICE,
        cutout_micro=CUTOUT_PRICE,
        preparation=CUT,
        cutout_digests=("c",),
    )
    await records.create(redis, job)
    (claim,) = await pick(redis)
    await take_permit(redis, claim)
    await steps.mark_posting(Replicas(redis), claim.task_id, claim.token)
    return job.job_id, claim


async def test_only_the_cutouts_price_stays_set_aside_for_one_in_doubt(redis: Redis) -> None:
    job_id, claim = await unconfirmed(redis)
    assert await reserved(redis) == PRICE + CUTOUT_PRICE
    error = ImageError("submission_unconfirmed", "lost", retryable=True)
    await steps.fail(redis, claim.task_id, claim.token, error)
    assert await reserved(redis) == CUTOUT_PRICE
    await records.retry(redis, job_id, None, None, low_priority=False)
    assert await reserved(redis) == PRICE + 2 * CUTOUT_PRICE


async def test_id_that_comes_after_the_failure_goes_on_in_its_phase(redis: Redis) -> None:
    job_id, claim = await unconfirmed(redis)
    error = ImageError("submission_unconfirmed", "lost", retryable=True)
    await steps.fail(redis, claim.task_id, claim.token, error)
    request = FalRequest("late", "http://s", "http://r", "http://c")
    await steps.commit_submission(Replicas(redis), claim.task_id, "", "a1", request)
    assert await reserved(redis) == PRICE + CUTOUT_PRICE
    (again,) = (
        await leases.pick(redis, Queue.GENERATION, "w2", free=1, reserve=5, lease_s=60, max_permits=9)
    ).claims
    await steps.move(redis, again.task_id, again.token, ImageStatus.STORING)
    await book(redis, again.task_id, CUTOUT_PRICE)
    await end_phase(redis, await loading.load(redis, again.task_id), again.token)
    task = await loading.load(redis, again.task_id)
    assert (task.phase, task.model, task.request, task.attempt_token) == ("", MODEL, None, "")
    assert (await job_reads.read_job(redis, job_id)).counts == Counts(queued=1)
    assert await reserved(redis) == PRICE


async def test_phase_that_ends_twice_ends_once(redis: Redis) -> None:
    """As over a connection that lost the first reply."""
    _, claim = await unconfirmed(redis)
    request = FalRequest("r", "http://s", "http://r", "http://c")
    await steps.commit_submission(Replicas(redis), claim.task_id, claim.token, "a1", request)
    await steps.move(redis, claim.task_id, claim.token, ImageStatus.STORING)
    await book(redis, claim.task_id, CUTOUT_PRICE)
    task = await loading.load(redis, claim.task_id)
    for _ in range(2):
        assert task.preparation is not None
        done = await phases.advance(redis, task, claim.token, task.preparation)
        assert done is phases.Advanced.ON
    assert (await loading.load(redis, claim.task_id)).phase == ""
    assert await reserved(redis) == PRICE
