"""What FAL took is booked once, adds up and is shown alike everywhere; what may yet be billed is held."""

import asyncio
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from image2model.domain import FalRequest, ImageError, ImageStatus
from image2model.errors import BudgetExceeded, NoBudgetLeft
from image2model.store import accounts, costs, dump, events, expiry, images, jobs, leases, refill
from image2model.store.accounts import Allowance, Usage
from image2model.store.api_keys import Budget
from image2model.store.costs import Booked, Booking, Outcome
from image2model.store.events import ImageChanged, JobCompleted
from image2model.store.images import Committed
from image2model.store.keys import Queue
from image2model.store.replicas import Replicas
from tests.store.conftest import MakeJob
from tests.support.jobs import RESULT, book, fail, finish, pick, submit, take_permit

S = ImageStatus
PRICE = 300_000
MODEL = "tripo3d/tripo/v2.5/image-to-3d"
LOST = ImageError("submission_unconfirmed", "lost", retryable=True)
DAY_MS = 86_400_000


def allowance(micro: int) -> Allowance:
    return Allowance(key="", max_queued=100, budget=Budget(micro, "month"))


async def used(redis: Redis, owner: str = "ann") -> Usage:
    return await accounts.usage(redis, owner, allowance(1))


async def spent_today(redis: Redis) -> int:
    tables = [await redis.hgetall(key) async for key in redis.scan_iter("i2m:spend:*")]
    return sum(int(micro) for table in tables for micro in table.values())


async def post(redis: Redis, claim: leases.Claim, attempt: str = "a1") -> None:
    """The POST went out, and no reply came."""
    await take_permit(redis, claim, attempt)
    await images.mark_posting(Replicas(redis), claim.task_id, claim.token)


async def lose(redis: Redis, claim: leases.Claim, attempt: str = "a1") -> None:
    """The submit is given up as unconfirmed."""
    await post(redis, claim, attempt)
    await images.fail(redis, claim.task_id, claim.token, LOST, unknown=True)


async def commit(redis: Redis, image_id: str, attempt: str, request_id: str) -> Committed:
    """FAL's id comes late."""
    request = FalRequest(request_id, "http://s", "http://r", "http://c")
    return await images.commit_submission(Replicas(redis), image_id, "", attempt, request)


async def book_held(redis: Redis, image_id: str, attempt: str, request_id: str) -> Booked:
    """FAL's webhook tells of a result of an attempt that nobody follows."""
    booking = Booking(
        image_id=image_id,
        owner=None,
        model=None,
        request_id=request_id,
        micro=None,
        uncertain=True,
        nonce="n",
        attempt=attempt,
    )
    return await costs.book(redis, booking)


async def agree(redis: Redis, job: jobs.NewJob, micro: int) -> None:
    """Images, job, account and the day's table say the same."""
    snapshot = await jobs.read(redis, job.job_id)
    assert sum(image.cost_micro or 0 for image in snapshot.images) == micro
    assert snapshot.job.cost_micro == micro
    assert (await used(redis, job.owner)).spent == micro
    assert await spent_today(redis) == micro


async def test_request_is_booked_once_by_whoever_comes_first(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1, unit_micro=PRICE)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    told = await asyncio.gather(*(book(redis, claim.task_id, PRICE) for _ in range(20)))
    assert sorted(one.outcome for one in told) == [Outcome.BEFORE] * 19 + [Outcome.BOOKED]
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
    before = await jobs.version(redis, job.job_id)
    await book(redis, claim.task_id, PRICE)
    assert await jobs.version(redis, job.job_id) == before
    await fail(redis, claim)
    *_, failed, complete = await events.of_job(redis, job.job_id, 0)
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
    ended = await jobs.version(redis, job.job_id)
    assert ended is not None
    for _ in range(2):  # the second one changes nothing
        await book(redis, claim.task_id, PRICE, uncertain=True)
    changed, complete = await events.of_job(redis, job.job_id, ended)
    assert isinstance(changed.body, ImageChanged)
    assert (changed.body.image.cost_micro, changed.body.image.cost_uncertain) == (PRICE, True)
    assert isinstance(complete.body, JobCompleted)
    assert complete.body.job.cost_micro == PRICE
    assert await jobs.read(redis, job.job_id) == msgspec.structs.replace(
        await jobs.read(redis, job.job_id), version=ended + 2
    )
    await agree(redis, job, PRICE)


async def test_costs_add_up_over_retries(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1, unit_micro=PRICE)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await book(redis, claim.task_id, PRICE, request_id="req-1")
    await fail(redis, claim)
    await jobs.retry(redis, job.job_id, None, None, low_priority=False)
    assert await used(redis) == Usage(1, PRICE, PRICE)
    await agree(redis, job, PRICE)
    (claim,) = await pick(redis)
    await take_permit(redis, claim, "a2")
    await images.mark_posting(Replicas(redis), claim.task_id, claim.token)
    await commit(redis, claim.task_id, "a2", "req-2")
    await book(redis, claim.task_id, PRICE + 1)
    await agree(redis, job, 2 * PRICE + 1)


async def test_result_for_nothing_costs_nothing_more(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(2, unit_micro=PRICE)
    first, second = await pick(redis)
    await submit(redis, first)
    await book(redis, first.task_id, PRICE)
    await fail(redis, first)
    await jobs.retry(redis, job.job_id, None, None, low_priority=False)
    (again,) = await pick(redis)
    for claim in (again, second):
        await redis.hset(f"i2m:image:{claim.task_id}", "status", "queued")  # as the pick of a reuse leaves it
        await images.take_result(redis, claim.task_id, claim.token, RESULT)
    shown = {image.image_id: image.cost_micro for image in (await jobs.read(redis, job.job_id)).images}
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
    costs_of = {image.image_id: image.cost_micro for image in (await jobs.read(redis, job.job_id)).images}
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


async def finish_submitted(redis: Redis, claim: leases.Claim) -> None:
    await images.move(redis, claim.task_id, claim.token, S.STORING)
    await images.succeed(redis, claim.task_id, claim.token, RESULT)


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


async def test_price_of_a_lost_submit_stays_set_aside_for_a_day(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1, unit_micro=PRICE)
    (claim,) = await pick(redis)
    await lose(redis, claim)
    assert await used(redis) == Usage(0, 0, PRICE)
    await jobs.retry(redis, job.job_id, None, None, low_priority=False)
    assert await used(redis) == Usage(1, 0, 2 * PRICE)
    assert await costs.release_holds(redis) == 0
    hold = f"{claim.task_id}:a1"
    due = await redis.zscore("i2m:holds", hold)
    seconds, _ = await redis.time()
    assert due is not None
    assert abs(due - seconds * 1000 - DAY_MS) < 60_000
    await redis.zadd("i2m:holds", {hold: 1})
    assert await costs.release_holds(redis) == 1
    assert await used(redis) == Usage(1, 0, PRICE)
    assert await redis.exists("i2m:holds", "i2m:held") == 0


async def test_late_id_takes_its_hold_back_and_is_booked_against_it(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1, unit_micro=PRICE)
    (claim,) = await pick(redis)
    await lose(redis, claim)
    assert await commit(redis, claim.task_id, "a1", "req-1") is Committed.ANOTHERS
    assert await used(redis) == Usage(1, 0, PRICE)
    (again,) = await leases.pick(redis, Queue.GENERATION, "w2", free=0, reserve=1, lease_s=60, max_permits=10)
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
    await jobs.retry(redis, job.job_id, None, None, low_priority=False)
    assert await commit(redis, claim.task_id, "a1", "req-1") is Committed.SUPERSEDED
    assert (await book_held(redis, claim.task_id, "a1", "req-1")).outcome is Outcome.BOOKED
    assert await used(redis) == Usage(1, PRICE, PRICE)
    (image,) = (await jobs.read(redis, job.job_id)).images
    assert (image.cost_micro, image.cost_uncertain) == (PRICE, True)
    # one POST is billed once, under whatever id FAL tells of it
    await book_held(redis, claim.task_id, "a1", "req-1-again")
    await agree(redis, job, PRICE)


async def test_result_of_an_attempt_that_nobody_knows_is_booked_by_nobody(
    redis: Redis, make_job: MakeJob
) -> None:
    await make_job(1, unit_micro=PRICE)
    (claim,) = await pick(redis)
    assert (await book_held(redis, claim.task_id, "made up", "req-1")).outcome is Outcome.NOBODYS
    assert (await book_held(redis, "no image", "made up", "req-1")).outcome is Outcome.NOBODYS
    assert await used(redis) == Usage(1, 0, PRICE)


@pytest.mark.parametrize("by", ["deleted", "expired"])
async def test_owner_pays_for_an_image_that_is_erased(redis: Redis, make_job: MakeJob, by: str) -> None:
    job = await make_job(1, unit_micro=PRICE)
    (claim,) = await pick(redis)
    await lose(redis, claim)
    if by == "deleted":
        await jobs.cancel(redis, job.job_id, delete=True)
        await jobs.erase(redis, job.job_id)
    else:
        await redis.hset(f"i2m:job:{job.job_id}", "expires_at", "1")
        assert await expiry.erase(redis, job.job_id)
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
    assert (await costs.book(redis, booking)).outcome is Outcome.BOOKED
    await fail(redis, claim)
    await jobs.cancel(redis, job.job_id, delete=True)
    await jobs.erase(redis, job.job_id)
    assert await costs.book(redis, booking) == Booked(Outcome.BOOKED, PRICE, 0, MODEL)
    assert (await used(redis)).spent == PRICE


async def test_deleted_job_pays_in_silence(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1, unit_micro=PRICE)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await jobs.cancel(redis, job.job_id, delete=True)
    known = len(await events.of_job(redis, job.job_id, 0))
    await fail(redis, claim)
    await book(redis, claim.task_id, PRICE)
    assert len(await events.of_job(redis, job.job_id, 0)) == known
    assert await used(redis) == Usage(0, PRICE, 0)


async def test_request_that_is_left_running_is_held_too(redis: Redis, make_job: MakeJob) -> None:
    await make_job(2, unit_micro=PRICE)
    running, ended = await pick(redis)
    await submit(redis, running)
    await fail(redis, running)  # as an unexpected error ends it
    assert await used(redis) == Usage(1, 0, 2 * PRICE)
    await submit(redis, ended)
    await images.move(redis, ended.task_id, ended.token, S.STORING)
    await fail(redis, ended)  # FAL has ended it, and nothing was billed
    assert await used(redis) == Usage(0, 0, PRICE)


async def test_cancelled_image_that_fal_may_have_is_held(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1, unit_micro=PRICE)
    (claim,) = await pick(redis)
    await post(redis, claim)
    await jobs.cancel(redis, job.job_id)
    await images.move(redis, claim.task_id, claim.token, S.CANCELLED)
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
    assert await images.try_again(redis, first.task_id, first.token, used_attempt=True, unknown=True)
    assert await used(redis) == Usage(2, 0, 900_000)
    await post(redis, second, "b1")
    before = await redis.hgetall(f"i2m:image:{second.task_id}")
    with pytest.raises(NoBudgetLeft):
        await images.try_again(redis, second.task_id, second.token, used_attempt=True, unknown=True)
    assert await redis.hgetall(f"i2m:image:{second.task_id}") == before
    assert await used(redis) == Usage(2, 0, 900_000)


async def test_attempt_after_a_definite_failure_finds_its_price_set_aside(
    redis: Redis, make_job: MakeJob
) -> None:
    await make_job(1, unit_micro=PRICE, allowance=allowance(400_000))
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await images.move(redis, claim.task_id, claim.token, S.STORING)
    assert await images.try_again(redis, claim.task_id, claim.token, used_attempt=True)
    assert await used(redis) == Usage(1, 0, PRICE)


@pytest.mark.parametrize("enough", [True, False])
async def test_attempt_after_one_that_was_billed_needs_its_price_anew(
    redis: Redis, make_job: MakeJob, *, enough: bool
) -> None:
    await make_job(1, unit_micro=PRICE, allowance=allowance(600_000 if enough else 599_999))
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await images.move(redis, claim.task_id, claim.token, S.STORING)
    await book(redis, claim.task_id, PRICE)
    if enough:
        assert await images.try_again(redis, claim.task_id, claim.token, used_attempt=True)
        assert await used(redis) == Usage(1, PRICE, PRICE)
        return
    with pytest.raises(NoBudgetLeft):
        await images.try_again(redis, claim.task_id, claim.token, used_attempt=True)
    assert await used(redis) == Usage(1, PRICE, 0)


async def test_nothing_more_is_begun_once_a_budget_is_overrun(redis: Redis, make_job: MakeJob) -> None:
    await make_job(2, unit_micro=PRICE, allowance=allowance(700_000))
    dear, failed = await pick(redis)
    await submit(redis, dear)
    assert (await book(redis, dear.task_id, 900_000)).overrun == 500_000
    await submit(redis, failed)
    await images.move(redis, failed.task_id, failed.token, S.STORING)
    with pytest.raises(NoBudgetLeft):
        await images.try_again(redis, failed.task_id, failed.token, used_attempt=True)


async def test_replay_of_an_admin_sets_its_price_aside_and_is_held_to_no_budget(
    redis: Redis, make_job: MakeJob
) -> None:
    job = await make_job(1, unit_micro=PRICE, allowance=allowance(PRICE))
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await book(redis, claim.task_id, PRICE)
    await fail(redis, claim)
    await jobs.retry(redis, job.job_id, None, None, low_priority=False)
    assert await used(redis) == Usage(1, PRICE, PRICE)
    (again,) = await pick(redis)
    await post(redis, again, "a2")
    assert await images.try_again(redis, again.task_id, again.token, used_attempt=True, unknown=True)


async def test_restored_image_that_fal_may_have_is_held(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(3, unit_micro=PRICE)
    lost, running, _ = await pick(redis)
    await post(redis, lost)
    await submit(redis, running)
    await refill.release_accounts(redis, ["i2m:account:ann"])
    assert await refill.settle(redis, job.job_id) == 3
    assert await used(redis) == Usage(0, 0, 2 * PRICE)
    await redis.zadd("i2m:holds", {f"{lost.task_id}:a1": 1, f"{running.task_id}:a1": 1})
    assert await costs.release_holds(redis) == 2
    assert await used(redis) == Usage(0, 0, 0)


async def test_backup_keeps_what_is_booked_and_no_holds(redis: Redis, make_job: MakeJob) -> None:
    await make_job(2, unit_micro=PRICE)
    booked, lost = await pick(redis)
    await submit(redis, booked)
    await book(redis, booked.task_id, PRICE)
    await lose(redis, lost, "b1")
    records = {record.name: record async for record in dump.records(redis)}
    assert {"i2m:holds", "i2m:held"}.isdisjoint(records)
    assert b"req-1" in bytes(records[f"i2m:image:{booked.task_id}"].value)


async def test_retry_beside_a_hold_needs_room_for_both(redis: Redis, make_job: MakeJob) -> None:
    terms = allowance(599_999)
    job = await make_job(1, unit_micro=PRICE, allowance=terms)
    (claim,) = await pick(redis)
    await lose(redis, claim)
    with pytest.raises(BudgetExceeded):
        await jobs.retry(redis, job.job_id, None, None, low_priority=False, allowance=terms)
    assert await used(redis) == Usage(0, 0, PRICE)


async def test_row_of_an_older_version_keeps_its_cost(redis: Redis, make_job: MakeJob) -> None:
    """8adfc9c wrote the cost with the success, and cleared it with a retry."""
    job = await make_job(2, unit_micro=PRICE)
    done, failed = await pick(redis)
    old: dict[Any, Any] = {"cost_micro": PRICE}
    await redis.hset(f"i2m:image:{done.task_id}", mapping=old)
    await redis.hincrby(f"i2m:job:{job.job_id}", "cost_micro", PRICE)
    await submit(redis, done)
    await finish_submitted(redis, done)
    await redis.hset(f"i2m:image:{failed.task_id}", "cost_micro", "")
    await submit(redis, failed)
    await book(redis, failed.task_id, 100_000)
    snapshot = await jobs.read(redis, job.job_id)
    assert sorted(image.cost_micro or 0 for image in snapshot.images) == [100_000, PRICE]
    assert snapshot.job.cost_micro == 400_000


async def test_whole_life_leaves_nothing_set_aside(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(3, unit_micro=PRICE)
    for claim in await pick(redis):
        await submit(redis, claim)
        await finish(redis, claim)
    await agree(redis, job, 3 * PRICE)
    assert await used(redis) == Usage(0, 3 * PRICE, 0)
