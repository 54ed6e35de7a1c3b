"""What FAL took is booked once, adds up and is shown alike everywhere."""

import asyncio

import msgspec
import pytest
from redis.asyncio import Redis

from image2model.access.accounts import Usage
from image2model.events import history
from image2model.events.history import ImageChanged, JobCompleted
from image2model.generation import steps
from image2model.generation.costs import Booked, Outcome
from image2model.jobs import records
from image2model.store import job_reads
from image2model.store.durability import Replicas
from image2model.store.keys import key
from tests.support.bookings import MODEL, PRICE, agree, allowance, commit, finish_submitted, used
from tests.support.fixtures import MakeJob
from tests.support.jobs import RESULT, book, fail, pick, submit, take_permit


async def test_request_is_booked_once_by_whoever_comes_first(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1, unit_micro=PRICE)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    told = await asyncio.gather(*(book(redis, claim.task_id, PRICE) for _ in range(20)))
    assert sorted(one.outcome for one in told) == [Outcome.ALREADY_BOOKED] * 19 + [Outcome.BOOKED]
    assert {one.micro for one in told} == {PRICE}
    await agree(redis, job, PRICE)
    assert await used(redis) == Usage(1, PRICE, 0)


async def test_caller_whose_reply_was_lost_learns_that_the_booking_is_its_own(
    redis: Redis, make_job: MakeJob
) -> None:
    job = await make_job(1, unit_micro=PRICE)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    for _ in range(2):
        assert await book(redis, claim.task_id, PRICE, nonce="mine") == Booked(
            Outcome.BOOKED, PRICE, 0, MODEL
        )
    await agree(redis, job, PRICE)


async def test_booking_shows_with_the_move_that_follows_it(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1, unit_micro=PRICE)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    before = await job_reads.job_version(redis, job.job_id)
    await book(redis, claim.task_id, PRICE)
    assert await job_reads.job_version(redis, job.job_id) == before
    await fail(redis, claim)
    *_, failed, complete = await history.of_job(redis, job.job_id, 0)
    assert isinstance(failed.body, ImageChanged)
    assert failed.body.image.cost_micro == PRICE
    assert isinstance(complete.body, JobCompleted)
    assert complete.body.job.cost_micro == PRICE


async def test_booking_on_a_final_image_is_told_and_ends_the_stream_again(
    redis: Redis, make_job: MakeJob
) -> None:
    job = await make_job(1, unit_micro=PRICE)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await fail(redis, claim)
    ended = await job_reads.job_version(redis, job.job_id)
    assert ended is not None
    for _ in range(2):  # the second one changes nothing
        await book(redis, claim.task_id, PRICE, uncertain=True)
    changed, complete = await history.of_job(redis, job.job_id, ended)
    assert isinstance(changed.body, ImageChanged)
    assert (changed.body.image.cost_micro, changed.body.image.cost_uncertain) == (PRICE, True)
    assert isinstance(complete.body, JobCompleted)
    assert complete.body.job.cost_micro == PRICE
    assert await job_reads.read_job(redis, job.job_id) == msgspec.structs.replace(
        await job_reads.read_job(redis, job.job_id), version=ended + 2
    )
    await agree(redis, job, PRICE)


async def test_costs_add_up_over_retries(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1, unit_micro=PRICE)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await book(redis, claim.task_id, PRICE, request_id="req-1")
    await fail(redis, claim)
    await records.retry(redis, job.job_id, None, None, low_priority=False)
    assert await used(redis) == Usage(1, PRICE, PRICE)
    await agree(redis, job, PRICE)
    (claim,) = await pick(redis)
    await take_permit(redis, claim, "a2")
    await steps.mark_posting(Replicas(redis), claim.task_id, claim.token)
    await commit(redis, claim.task_id, "a2", "req-2")
    await book(redis, claim.task_id, PRICE + 1)
    await agree(redis, job, 2 * PRICE + 1)


async def test_result_for_nothing_costs_nothing_more(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(2, unit_micro=PRICE)
    first, second = await pick(redis)
    await submit(redis, first)
    await book(redis, first.task_id, PRICE)
    await fail(redis, first)
    await records.retry(redis, job.job_id, None, None, low_priority=False)
    (again,) = await pick(redis)
    for claim in (again, second):
        await redis.hset(key("image", claim.task_id), "status", "queued")  # as the pick of a reuse leaves it
        await steps.take_result(redis, claim.task_id, claim.token, RESULT)
    shown = {
        image.image_id: image.cost_micro for image in (await job_reads.read_job(redis, job.job_id)).images
    }
    assert shown == {first.task_id: PRICE, second.task_id: 0}
    assert await used(redis) == Usage(0, PRICE, 0)


async def test_cost_is_not_known_only_where_nothing_was_booked_and_nothing_succeeded(
    redis: Redis, make_job: MakeJob
) -> None:
    job = await make_job(3, unit_micro=PRICE)
    claims = await pick(redis)
    await fail(redis, claims[0])
    await submit(redis, claims[1])
    await book(redis, claims[1].task_id, 0)
    await fail(redis, claims[1])
    costs_of = {
        image.image_id: image.cost_micro for image in (await job_reads.read_job(redis, job.job_id)).images
    }
    assert [costs_of[claim.task_id] for claim in claims] == [None, 0, None]


async def test_reservation_is_released_as_far_as_it_is_booked(redis: Redis, make_job: MakeJob) -> None:
    await make_job(2, unit_micro=PRICE)
    cheap, dear = await pick(redis)
    await submit(redis, cheap)
    await book(redis, cheap.task_id, 200_000)
    assert await used(redis) == Usage(2, 200_000, 400_000)
    await finish_submitted(redis, cheap)
    assert await used(redis) == Usage(1, 200_000, PRICE)
    await submit(redis, dear)
    await book(redis, dear.task_id, 900_000)
    assert await used(redis) == Usage(1, 1_100_000, 0)


@pytest.mark.parametrize(
    ("budget", "took", "overrun"), [(600_000, 900_000, 300_000), (2_000_000, 900_000, 0)]
)
async def test_overrun_is_what_the_budget_is_exceeded_by(
    redis: Redis, make_job: MakeJob, budget: int, took: int, overrun: int
) -> None:
    await make_job(1, unit_micro=PRICE, allowance=allowance(budget))
    (claim,) = await pick(redis)
    await submit(redis, claim)
    assert (await book(redis, claim.task_id, took)).overrun == overrun
