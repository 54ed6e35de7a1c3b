"""Whose fault the end of a worker is: only what ran alone in a hazardous step is blamed, no neighbour."""

import pytest
from redis.asyncio import Redis

from image2model.domain import ImageStatus
from image2model.errors import StaleFence
from image2model.generation import loading, steps
from image2model.jobs import records
from image2model.queue import leases
from image2model.queue.leases import MAX_CRASHES, Claim
from image2model.queue.permits import Permit
from image2model.store import job_reads
from image2model.store.keys import Queue, key
from tests.support.fixtures import MakeJob
from tests.support.jobs import RESULT, fail, pick, submit, take_permit


async def _worker_dies(redis: Redis, claim: Claim) -> None:
    await redis.execute_command("ZADD", key("leases", "model_generation"), 1, claim.task_id)
    assert await leases.sweep(redis, Queue.GENERATION, lease_s=5) == 1


async def _dies_in_hazard(redis: Redis, times: int, *, alone: bool) -> None:
    for _ in range(times):
        (claim,) = await pick(redis)
        await steps.enter_hazard(redis, claim.task_id, claim.token, alone=alone)
        await _worker_dies(redis, claim)


async def _follow(redis: Redis) -> list[Claim]:
    picked = await leases.pick(
        redis, Queue.GENERATION, "w1", free=0, reserve=9, lease_s=600.0, max_permits=100
    )
    return picked.claims


async def _task(redis: Redis) -> loading.Task:
    (claim,) = await pick(redis)
    return await loading.load(redis, claim.task_id)


async def test_picture_that_a_dying_worker_had_prepared_is_no_suspect(
    redis: Redis, make_job: MakeJob
) -> None:
    await make_job(1)
    for _ in range(3 * MAX_CRASHES):
        (claim,) = await pick(redis)
        assert await take_permit(redis, claim) is Permit.GRANTED
        await _worker_dies(redis, claim)
    task = await _task(redis)
    assert (task.hazard_deaths, task.crashes) == (0, 0)


async def test_pictures_that_a_dying_worker_was_preparing_are_suspects(
    redis: Redis, make_job: MakeJob
) -> None:
    await make_job(2)
    for claim in await pick(redis):
        await _worker_dies(redis, claim)
    tasks = [await loading.load(redis, claim.task_id) for claim in await pick(redis)]
    assert [(task.hazard_deaths, task.crashes) for task in tasks] == [(1, 0)] * 2
    marks = [await redis.hget(key("image", task.image_id), "hazard") for task in tasks]
    assert marks == [b"", b""]  # from now on they mark each step themselves


async def test_pictures_whose_models_a_dying_worker_was_storing_are_suspects(
    redis: Redis, make_job: MakeJob
) -> None:
    await make_job(1)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await _worker_dies(redis, claim)
    (claim,) = await _follow(redis)
    assert (await loading.load(redis, claim.task_id)).hazard_deaths == 0
    await steps.move(redis, claim.task_id, claim.token, ImageStatus.STORING)
    for deaths in (1, 2):
        await _worker_dies(redis, claim)
        (claim,) = await _follow(redis)
        assert (await loading.load(redis, claim.task_id)).hazard_deaths == deaths
        await steps.enter_hazard(redis, claim.task_id, claim.token, alone=False)
    await steps.succeed(redis, claim.task_id, claim.token, RESULT)
    assert await redis.hget(key("image", claim.task_id), "hazard") == b""


async def test_neighbour_in_a_hazardous_step_is_a_suspect_and_never_blamed(
    redis: Redis, make_job: MakeJob
) -> None:
    await make_job(1)
    await _dies_in_hazard(redis, 3 * MAX_CRASHES, alone=False)
    task = await _task(redis)
    assert (task.hazard_deaths, task.crashes) == (3 * MAX_CRASHES, 0)


async def test_picture_that_ends_workers_alone_fails_after_five(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1)
    await _dies_in_hazard(redis, MAX_CRASHES, alone=True)
    assert await pick(redis) == []
    (image,) = (await job_reads.read_job(redis, job.job_id)).images
    assert image.status is ImageStatus.FAILED
    assert image.error is not None
    assert image.error.code == "worker_crashed"


async def test_suspect_that_has_come_through_is_one_no_longer(redis: Redis, make_job: MakeJob) -> None:
    await make_job(1)
    await _dies_in_hazard(redis, 3, alone=False)
    (claim,) = await pick(redis)
    await steps.enter_hazard(redis, claim.task_id, claim.token, alone=False)
    await steps.leave_hazard(redis, claim.task_id, claim.token)
    await _worker_dies(redis, claim)
    assert (await _task(redis)).hazard_deaths == 0


async def test_worker_that_was_told_to_stop_has_not_died_of_it(redis: Redis, make_job: MakeJob) -> None:
    await make_job(1)
    for _ in range(MAX_CRASHES):
        (claim,) = await pick(redis)
        await steps.enter_hazard(redis, claim.task_id, claim.token, alone=True)
        await leases.release(
            redis, Queue.GENERATION, claim.task_id, claim.token, finished=False, score=claim.score
        )
    task = await _task(redis)
    assert (task.hazard_deaths, task.crashes) == (0, 0)


async def test_result_that_ends_workers_is_not_failed(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    for _ in range(MAX_CRASHES + 1):
        await steps.enter_hazard(redis, claim.task_id, claim.token, alone=True)
        await _worker_dies(redis, claim)
        (claim,) = (
            await leases.pick(redis, Queue.GENERATION, "w", free=0, reserve=1, lease_s=600, max_permits=10)
        ).claims
    assert (await loading.load(redis, claim.task_id)).crashes == MAX_CRASHES + 1
    assert (await job_reads.read_job(redis, job.job_id)).images[0].status is ImageStatus.SUBMITTED


async def test_death_of_the_decoders_process_counts_once_for_each_run(
    redis: Redis, make_job: MakeJob
) -> None:
    await make_job(1)
    (claim,) = await pick(redis)
    for _ in range(2):  # the first reply may be lost
        assert await steps.note_crash(redis, claim.task_id, claim.token) == 1
    await leases.release(redis, Queue.GENERATION, claim.task_id, claim.token, finished=False, score=0)
    with pytest.raises(StaleFence):
        await steps.note_crash(redis, claim.task_id, claim.token)
    (claim,) = await pick(redis)
    assert await steps.note_crash(redis, claim.task_id, claim.token) == 2
    task = await loading.load(redis, claim.task_id)
    assert (task.hazard_deaths, task.crashes) == (1, 2)


async def test_counters_of_8adfc9c_count_no_longer(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1)
    image = key("image", job.images[0].image_id)
    await redis.hset(image, mapping={"pickups": 5, "fetches": 5})
    (claim,) = await pick(redis)
    assert claim.task_id == job.images[0].image_id
    assert await redis.hmget(image, ["pickups", "fetches"]) == [None, None]


async def test_retry_begins_without_suspicion(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1)
    await _dies_in_hazard(redis, MAX_CRASHES, alone=True)
    assert await records.retry(redis, job.job_id, None, None, low_priority=False)
    task = await _task(redis)
    assert (task.hazard_deaths, task.crashes) == (0, 0)


@pytest.mark.parametrize("again", ["retry", "next try"])
async def test_death_is_counted_of_a_picture_that_runs_again(
    redis: Redis, make_job: MakeJob, again: str
) -> None:
    """Its counters were emptied, and its neighbours are swept all the same."""
    job = await make_job(1)
    (claim,) = await pick(redis)
    if again == "retry":
        await fail(redis, claim)
        await records.retry(redis, job.job_id, None, None, low_priority=False)
    else:
        await steps.try_again(redis, claim.task_id, claim.token, used_attempt=False, start_timeout_s=60)
        await leases.release(redis, Queue.GENERATION, claim.task_id, claim.token, finished=False, score=2)
    (claim,) = await pick(redis)
    assert await steps.note_crash(redis, claim.task_id, claim.token) == 1
    await leases.release(redis, Queue.GENERATION, claim.task_id, claim.token, finished=False, score=2)
    await _dies_in_hazard(redis, MAX_CRASHES - 1, alone=True)
    (image,) = (await job_reads.read_job(redis, job.job_id)).images
    assert (image.status, image.error and image.error.code) == (ImageStatus.FAILED, "worker_crashed")


async def test_first_death_of_a_picture_that_runs_again_keeps_nobody_in_the_queue(
    redis: Redis, make_job: MakeJob
) -> None:
    job = await make_job(2)
    (first, _) = await pick(redis)
    await fail(redis, first)
    await records.retry(redis, job.job_id, None, None, low_priority=False)
    (again,) = await pick(redis)
    await steps.enter_hazard(redis, again.task_id, again.token, alone=True)
    for image in job.images:
        await redis.zadd(key("leases", Queue.GENERATION), {image.image_id: 1})
    assert await leases.sweep(redis, Queue.GENERATION, lease_s=5) == 2
    assert len(await pick(redis)) == 2
