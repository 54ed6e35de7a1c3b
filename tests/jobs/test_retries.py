"""What a retry carries over and what it leaves behind: the content, a request that is paid for, its money."""

import pytest
from redis.asyncio import Redis

from image2model.access import accounts
from image2model.access.accounts import Allowance, Usage
from image2model.access.keys import Budget
from image2model.domain import ImageError, ImageStatus
from image2model.errors import BudgetExceeded, NoBudgetLeft
from image2model.generation import loading, steps
from image2model.jobs import records
from image2model.jobs.new_jobs import NewJob
from image2model.queue import leases, reconciliation
from image2model.store import job_reads
from image2model.store.arq_keys import queue_key
from image2model.store.keys import Queue
from tests.support.fixtures import MakeJob
from tests.support.jobs import REQUEST, book, fail, finish, pick, submit

S = ImageStatus
PRICE = 300_000
UNEXPECTED = ImageError("unexpected_error", "a fault of ours", retryable=True)
ALLOWANCE = Allowance(key="", max_queued=100, budget=Budget(PRICE, "total"))


async def used(redis: Redis) -> Usage:
    return await accounts.usage(redis, "ann", ALLOWANCE)


async def broken_behind_fal(redis: Redis, make_job: MakeJob, *, booked: bool) -> tuple[NewJob, str]:
    """A job of one image that an error nobody expected ended while its request ran: the job and the image."""
    job = await make_job(1, unit_micro=PRICE, allowance=ALLOWANCE)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await steps.move(redis, claim.task_id, claim.token, S.GENERATING)
    if booked:
        await book(redis, claim.task_id, PRICE)
    await steps.fail(redis, claim.task_id, claim.token, UNEXPECTED)
    return job, claim.task_id


async def follow(redis: Redis) -> leases.Claim:
    """Who picks what is at FAL."""
    (claim,) = (
        await leases.pick(redis, Queue.GENERATION, "w2", free=5, reserve=5, lease_s=60, max_permits=100)
    ).claims
    return claim


async def retried_with_other_parameters(redis: Redis, make_job: MakeJob) -> leases.Claim:
    """An image that led a content, failed, and runs with other parameters now."""
    job = await make_job(1, digest="d")
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await fail(redis, claim)
    await records.retry(redis, job.job_id, None, {"texture": "no"}, low_priority=False)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    return claim


async def test_run_with_other_parameters_is_not_waited_for(redis: Redis, make_job: MakeJob) -> None:
    await retried_with_other_parameters(redis, make_job)
    await make_job(1, digest="d")
    (claim,) = await pick(redis)
    assert (await loading.load(redis, claim.task_id)).reuse_of == ""


async def test_result_of_other_parameters_is_not_taken(redis: Redis, make_job: MakeJob) -> None:
    await finish(redis, await retried_with_other_parameters(redis, make_job))
    await make_job(1, digest="d")
    (claim,) = await pick(redis)
    assert (await loading.load(redis, claim.task_id)).reuse_of == ""


async def test_image_that_an_earlier_release_parked_behind_other_parameters_is_released(
    redis: Redis, make_job: MakeJob
) -> None:
    await retried_with_other_parameters(redis, make_job)
    job = await make_job(1, digest="d")
    (image,) = job.images
    await redis.zadd(queue_key("model_generation"), {image.image_id: 8e15})
    await reconciliation.repair(redis, job.job_id)
    (claim,) = await pick(redis)
    assert claim.task_id == image.image_id


async def test_request_that_is_booked_goes_on_without_room_in_the_budget(
    redis: Redis, make_job: MakeJob
) -> None:
    job, image_id = await broken_behind_fal(redis, make_job, booked=True)
    assert await records.retry(redis, job.job_id, None, None, low_priority=False, allowance=ALLOWANCE)
    assert await used(redis) == Usage(1, PRICE, 0)
    claim = await follow(redis)
    assert (await loading.load(redis, image_id)).request == REQUEST
    await steps.move(redis, image_id, claim.token, S.STORING)
    with pytest.raises(NoBudgetLeft):  # another submit would have to be paid for
        await steps.try_again(redis, image_id, claim.token, used_attempt=True)


async def test_request_that_is_not_booked_needs_room_in_the_budget(redis: Redis, make_job: MakeJob) -> None:
    job, _ = await broken_behind_fal(redis, make_job, booked=False)
    assert await used(redis) == Usage(0, 0, PRICE)  # held
    with pytest.raises(BudgetExceeded):
        await records.retry(redis, job.job_id, None, None, low_priority=False, allowance=ALLOWANCE)


async def test_request_that_goes_on_has_its_time_anew(redis: Redis, make_job: MakeJob) -> None:
    job, image_id = await broken_behind_fal(redis, make_job, booked=True)
    assert (await loading.load(redis, image_id)).running_at > 0
    await records.retry(redis, job.job_id, None, None, low_priority=False)
    assert (await loading.load(redis, image_id)).running_at == 0


async def test_image_whose_runs_never_end_it_is_booked_when_it_is_given_up(
    redis: Redis, make_job: MakeJob
) -> None:
    """FAL has ended it, and nobody has come as far as the booking."""
    job = await make_job(1, unit_micro=PRICE)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await steps.move(redis, claim.task_id, claim.token, S.STORING)
    for _ in range(leases.MAX_UNFINISHED_RUNS - 1):
        await leases.release(redis, Queue.GENERATION, claim.task_id, claim.token, finished=True, score=1)
        await redis.zadd(queue_key("model_generation"), {claim.task_id: 1})
        claim = await follow(redis)
    await leases.release(redis, Queue.GENERATION, claim.task_id, claim.token, finished=True, score=1)
    (image,) = (await job_reads.read_job(redis, job.job_id)).images
    assert (image.status, image.cost_micro, image.cost_uncertain) == (S.FAILED, PRICE, True)
    assert await used(redis) == Usage(0, PRICE, 0)
