"""What may yet be billed stays set aside; no attempt begins that the budget does not hold."""

from typing import Any

import pytest
from redis.asyncio import Redis

from image2model.access.accounts import Usage
from image2model.errors import BudgetExceeded, NoBudgetLeft
from image2model.events import history
from image2model.generation import costs, steps
from image2model.generation.costs import Booked, Booking, Outcome
from image2model.generation.steps import Committed
from image2model.jobs import records
from image2model.operations import backup, housekeeping, restore
from image2model.queue import leases
from image2model.store import job_reads
from image2model.store.keys import Queue, key
from tests.support.bookings import (
    DAY_MS,
    MODEL,
    PRICE,
    S,
    agree,
    allowance,
    book_held,
    commit,
    finish_submitted,
    lose,
    post,
    spent_today,
    used,
)
from tests.support.fixtures import MakeJob
from tests.support.jobs import book, fail, finish, pick, submit


async def test_price_of_a_lost_submit_stays_set_aside_for_a_day(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1, unit_micro=PRICE)
    (claim,) = await pick(redis)
    await lose(redis, claim)
    assert await used(redis) == Usage(0, 0, PRICE)
    await records.retry(redis, job.job_id, None, None, low_priority=False)
    assert await used(redis) == Usage(1, 0, 2 * PRICE)
    assert await costs.release_holds(redis) == 0
    hold = f"{claim.task_id}:a1"
    due = await redis.zscore(key("holds"), hold)
    seconds, _ = await redis.time()
    assert due is not None
    assert abs(due - seconds * 1000 - DAY_MS) < 60_000
    await redis.zadd(key("holds"), {hold: 1})
    assert await costs.release_holds(redis) == 1
    assert await used(redis) == Usage(1, 0, PRICE)
    assert await redis.exists(key("holds"), key("held")) == 0


async def test_late_id_takes_its_hold_back_and_is_booked_against_it(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1, unit_micro=PRICE)
    (claim,) = await pick(redis)
    await lose(redis, claim)
    assert await commit(redis, claim.task_id, "a1", "req-1") is Committed.ANOTHERS
    assert await used(redis) == Usage(1, 0, PRICE)
    (again,) = (
        await leases.pick(redis, Queue.GENERATION, "w2", free=0, reserve=1, lease_s=60, max_permits=10)
    ).claims
    await book(redis, again.task_id, PRICE)
    await finish_submitted(redis, again)
    assert await used(redis) == Usage(0, PRICE, 0)
    await agree(redis, job, PRICE)


async def test_result_of_a_superseded_attempt_is_booked_against_its_hold(
    redis: Redis, make_job: MakeJob
) -> None:
    job = await make_job(1, unit_micro=PRICE)
    (claim,) = await pick(redis)
    await lose(redis, claim)
    await records.retry(redis, job.job_id, None, None, low_priority=False)
    assert await commit(redis, claim.task_id, "a1", "req-1") is Committed.SUPERSEDED
    assert (await book_held(redis, claim.task_id, "a1", "req-1")).outcome is Outcome.BOOKED
    assert await used(redis) == Usage(1, PRICE, PRICE)
    (image,) = (await job_reads.read_job(redis, job.job_id)).images
    assert (image.cost_micro, image.cost_uncertain) == (PRICE, True)
    # one POST is billed once, under whatever id FAL tells of it
    await book_held(redis, claim.task_id, "a1", "req-1-again")
    await agree(redis, job, PRICE)


async def test_result_of_an_attempt_that_nobody_knows_is_booked_by_nobody(
    redis: Redis, make_job: MakeJob
) -> None:
    await make_job(1, unit_micro=PRICE)
    (claim,) = await pick(redis)
    assert (await book_held(redis, claim.task_id, "made up", "req-1")).outcome is Outcome.NO_OWNER
    assert (await book_held(redis, "no image", "made up", "req-1")).outcome is Outcome.NO_OWNER
    assert await used(redis) == Usage(1, 0, PRICE)


@pytest.mark.parametrize("by", ["deleted", "expired"])
async def test_owner_pays_for_an_image_that_is_erased(redis: Redis, make_job: MakeJob, by: str) -> None:
    job = await make_job(1, unit_micro=PRICE)
    (claim,) = await pick(redis)
    await lose(redis, claim)
    if by == "deleted":
        await records.cancel(redis, job.job_id, delete=True)
        await records.erase(redis, job.job_id)
    else:
        await redis.hset(key("job", job.job_id), "expires_at", "1")
        assert await housekeeping.erase(redis, job.job_id)
    for _ in range(3):
        assert (await book_held(redis, claim.task_id, "a1", "req-1")).outcome is Outcome.BOOKED
    assert await used(redis) == Usage(0, PRICE, 0)
    assert await spent_today(redis) == PRICE


async def test_booking_repeated_after_the_erasure_is_harmless(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1, unit_micro=PRICE)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    booking = Booking(
        image_id=claim.task_id,
        owner="ann",
        model=MODEL,
        request_id="req-1",
        micro=PRICE,
        uncertain=False,
        nonce="n",
    )
    assert (await costs.record_booking(redis, booking)).outcome is Outcome.BOOKED
    await fail(redis, claim)
    await records.cancel(redis, job.job_id, delete=True)
    await records.erase(redis, job.job_id)
    assert await costs.record_booking(redis, booking) == Booked(Outcome.BOOKED, PRICE, 0, MODEL)
    assert (await used(redis)).spent == PRICE


async def test_deleted_job_pays_in_silence(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1, unit_micro=PRICE)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await records.cancel(redis, job.job_id, delete=True)
    known = len(await history.of_job(redis, job.job_id, 0))
    await fail(redis, claim)
    await book(redis, claim.task_id, PRICE)
    assert len(await history.of_job(redis, job.job_id, 0)) == known
    assert await used(redis) == Usage(0, PRICE, 0)


async def test_request_that_is_left_running_is_held_too(redis: Redis, make_job: MakeJob) -> None:
    await make_job(2, unit_micro=PRICE)
    running, ended = await pick(redis)
    await submit(redis, running)
    await fail(redis, running)  # as an unexpected error ends it
    assert await used(redis) == Usage(1, 0, 2 * PRICE)
    await submit(redis, ended)
    await steps.move(redis, ended.task_id, ended.token, S.STORING)
    await fail(redis, ended)  # FAL has ended it, and nothing was billed
    assert await used(redis) == Usage(0, 0, PRICE)


async def test_cancelled_image_that_fal_may_have_is_held(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1, unit_micro=PRICE)
    (claim,) = await pick(redis)
    await post(redis, claim)
    await records.cancel(redis, job.job_id)
    await steps.move(redis, claim.task_id, claim.token, S.CANCELLED)
    assert await used(redis) == Usage(0, 0, PRICE)
    assert await commit(redis, claim.task_id, "a1", "req-1") is Committed.SUPERSEDED
    await book_held(redis, claim.task_id, "a1", "req-1")
    await agree(redis, job, PRICE)
    assert (await used(redis)).reserved == 0


async def test_second_submit_is_begun_only_where_the_budget_holds_both(
    redis: Redis, make_job: MakeJob
) -> None:
    await make_job(2, unit_micro=PRICE, allowance=allowance(900_000))
    first, second = await pick(redis)
    await post(redis, first)
    assert await steps.try_again(redis, first.task_id, first.token, used_attempt=True, unknown=True)
    assert await used(redis) == Usage(2, 0, 900_000)
    await post(redis, second, "b1")
    before = await redis.hgetall(key("image", second.task_id))
    with pytest.raises(NoBudgetLeft):
        await steps.try_again(redis, second.task_id, second.token, used_attempt=True, unknown=True)
    assert await redis.hgetall(key("image", second.task_id)) == before
    assert await used(redis) == Usage(2, 0, 900_000)


async def test_attempt_after_a_definite_failure_finds_its_price_set_aside(
    redis: Redis, make_job: MakeJob
) -> None:
    await make_job(1, unit_micro=PRICE, allowance=allowance(400_000))
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await steps.move(redis, claim.task_id, claim.token, S.STORING)
    assert await steps.try_again(redis, claim.task_id, claim.token, used_attempt=True)
    assert await used(redis) == Usage(1, 0, PRICE)


@pytest.mark.parametrize("enough", [True, False])
async def test_attempt_after_one_that_was_billed_needs_its_price_anew(
    redis: Redis, make_job: MakeJob, *, enough: bool
) -> None:
    await make_job(1, unit_micro=PRICE, allowance=allowance(600_000 if enough else 599_999))
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await steps.move(redis, claim.task_id, claim.token, S.STORING)
    await book(redis, claim.task_id, PRICE)
    if enough:
        assert await steps.try_again(redis, claim.task_id, claim.token, used_attempt=True)
        assert await used(redis) == Usage(1, PRICE, PRICE)
        return
    with pytest.raises(NoBudgetLeft):
        await steps.try_again(redis, claim.task_id, claim.token, used_attempt=True)
    assert await used(redis) == Usage(1, PRICE, 0)


async def test_nothing_more_is_begun_once_a_budget_is_overrun(redis: Redis, make_job: MakeJob) -> None:
    await make_job(2, unit_micro=PRICE, allowance=allowance(700_000))
    dear, failed = await pick(redis)
    await submit(redis, dear)
    assert (await book(redis, dear.task_id, 900_000)).overrun == 500_000
    await submit(redis, failed)
    await steps.move(redis, failed.task_id, failed.token, S.STORING)
    with pytest.raises(NoBudgetLeft):
        await steps.try_again(redis, failed.task_id, failed.token, used_attempt=True)


async def test_replay_of_an_admin_sets_its_price_aside_and_is_held_to_no_budget(
    redis: Redis, make_job: MakeJob
) -> None:
    job = await make_job(1, unit_micro=PRICE, allowance=allowance(PRICE))
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await book(redis, claim.task_id, PRICE)
    await fail(redis, claim)
    await records.retry(redis, job.job_id, None, None, low_priority=False)
    assert await used(redis) == Usage(1, PRICE, PRICE)
    (again,) = await pick(redis)
    await post(redis, again, "a2")
    assert await steps.try_again(redis, again.task_id, again.token, used_attempt=True, unknown=True)


async def test_restored_image_that_fal_may_have_is_held(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(3, unit_micro=PRICE)
    lost, running, _ = await pick(redis)
    await post(redis, lost)
    await submit(redis, running)
    await restore.reset_accounts(redis, [key("account", "ann")])
    assert await restore.fail_unfinished(redis, job.job_id) == 3
    assert await used(redis) == Usage(0, 0, 2 * PRICE)
    await redis.zadd(key("holds"), {f"{lost.task_id}:a1": 1, f"{running.task_id}:a1": 1})
    assert await costs.release_holds(redis) == 2
    assert await used(redis) == Usage(0, 0, 0)


async def test_backup_keeps_what_is_booked_and_no_holds(redis: Redis, make_job: MakeJob) -> None:
    await make_job(2, unit_micro=PRICE)
    booked, lost = await pick(redis)
    await submit(redis, booked)
    await book(redis, booked.task_id, PRICE)
    await lose(redis, lost, "b1")
    saved = {record.name: record async for record in backup.records(redis)}
    assert {key("holds").plain, key("held").plain}.isdisjoint(saved)
    assert b"req-1" in bytes(saved[key("image", booked.task_id).plain].value)


async def test_retry_beside_a_hold_needs_room_for_both(redis: Redis, make_job: MakeJob) -> None:
    terms = allowance(599_999)
    job = await make_job(1, unit_micro=PRICE, allowance=terms)
    (claim,) = await pick(redis)
    await lose(redis, claim)
    with pytest.raises(BudgetExceeded):
        await records.retry(redis, job.job_id, None, None, low_priority=False, allowance=terms)
    assert await used(redis) == Usage(0, 0, PRICE)


async def test_row_of_an_older_version_keeps_its_cost(redis: Redis, make_job: MakeJob) -> None:
    """8adfc9c wrote the cost with the success, and cleared it with a retry."""
    job = await make_job(2, unit_micro=PRICE)
    done, failed = await pick(redis)
    old: dict[Any, Any] = {"cost_micro": PRICE}
    await redis.hset(key("image", done.task_id), mapping=old)
    await redis.hincrby(key("job", job.job_id), "cost_micro", PRICE)
    await submit(redis, done)
    await finish_submitted(redis, done)
    await redis.hset(key("image", failed.task_id), "cost_micro", "")
    await submit(redis, failed)
    await book(redis, failed.task_id, 100_000)
    snapshot = await job_reads.read_job(redis, job.job_id)
    assert sorted(image.cost_micro or 0 for image in snapshot.images) == [100_000, PRICE]
    assert snapshot.job.cost_micro == 400_000


async def test_whole_life_leaves_nothing_set_aside(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(3, unit_micro=PRICE)
    for claim in await pick(redis):
        await submit(redis, claim)
        await finish(redis, claim)
    await agree(redis, job, 3 * PRICE)
    assert await used(redis) == Usage(0, 3 * PRICE, 0)
