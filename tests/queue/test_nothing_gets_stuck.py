"""What would cost capacity, money or an image for good, were it not seen to."""

import uuid

import msgspec
import pytest
from redis.asyncio import Redis

from image2model.domain import Counts, ImageError, WaitingFor
from image2model.errors import NotFound, StaleFence
from image2model.events import history
from image2model.events.history import JobCompleted
from image2model.generation import loading, steps
from image2model.jobs import records
from image2model.queue import circuits, leases, reconciliation
from image2model.queue.permits import Permit
from image2model.store import job_reads
from image2model.store.arq_keys import in_progress_key, job_key, queue_key
from image2model.store.durability import Replicas
from image2model.store.identity import negotiate
from image2model.store.keys import UNFINISHED_TTL_MS, Queue, key
from tests.support.fixtures import MakeJob
from tests.support.jobs import finish, submit, take_permit
from tests.support.leases import pick

QUEUE = queue_key("model_generation")
FAULT = ImageError("generation_failed", "FAL broke", retryable=True)


async def begin_post(redis: Redis, claim: leases.Claim) -> None:
    """Take a picked image to where FAL may have it."""
    await take_permit(redis, claim)
    await steps.mark_posting(Replicas(redis), claim.task_id, claim.token)


async def permits(redis: Redis) -> int:
    """Images in FAL's hands, by the store's count."""
    return int(await redis.zcard(key("permits"))) + int(await redis.zcard(key("ahead")))


@pytest.mark.also_on_cluster
async def test_cancel_during_a_refused_submit_ends_the_image(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1)
    (claim,) = await pick(redis)
    await begin_post(redis, claim)
    assert await records.cancel(redis, job.job_id) == (0, 1)
    with pytest.raises(StaleFence):  # FAL answered 429: nothing was bought, and nothing shall be
        await steps.try_again(redis, claim.task_id, claim.token, used_attempt=False, start_timeout_s=300)
    assert (await job_reads.read_job(redis, job.job_id)).counts == Counts(cancelled=1)
    assert await permits(redis) == 0


async def test_cancelled_image_that_fal_failed_gets_no_further_attempt(
    redis: Redis, make_job: MakeJob
) -> None:
    job = await make_job(1)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await records.cancel(redis, job.job_id)
    with pytest.raises(StaleFence):
        await steps.try_again(redis, claim.task_id, claim.token, used_attempt=True, error=FAULT)
    assert (await job_reads.read_job(redis, job.job_id)).counts == Counts(cancelled=1)
    assert await pick(redis) == []


async def lose(redis: Redis, claim: leases.Claim) -> None:
    """The store forgets that somebody works on it."""
    await redis.delete(job_key(claim.task_id), in_progress_key(claim.task_id))
    await redis.execute_command("ZREM", key("leases", Queue.GENERATION), claim.task_id)


async def test_repair_counts_what_it_has_moved(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(2)
    (claim,) = await pick(redis, free=1)
    await lose(redis, claim)
    assert await reconciliation.repair(redis, job.job_id) == 1
    assert (await job_reads.read_job(redis, job.job_id)).counts == Counts(queued=2)
    assert await permits(redis) == 0
    for again in await pick(redis):
        await submit(redis, again)
        await finish(redis, again)
    past = await history.of_job(redis, job.job_id, 0)
    assert [isinstance(event.body, JobCompleted) for event in past].count(True) == 1


async def test_repair_of_counts_leaves_no_gap_in_the_history(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1)
    await redis.execute_command("HSET", key("job", job.job_id), "n_preparing", 3)
    assert await reconciliation.repair(redis, job.job_id) == 1
    snapshot = await job_reads.read_job(redis, job.job_id)
    assert snapshot.counts == Counts(queued=1)
    assert [e.version for e in await history.of_job(redis, job.job_id, 0)] == [
        *range(1, snapshot.version + 1)
    ]


async def test_image_without_its_arq_job_is_still_run(redis: Redis, make_job: MakeJob) -> None:
    await negotiate(redis)
    await redis.hset(key("store"), "version", "4")  # later ones have no such keys for images
    await make_job(1)
    (claim,) = await pick(redis, lease_s=0.01)
    await redis.delete(job_key(claim.task_id), in_progress_key(claim.task_id))
    await redis.execute_command("ZADD", QUEUE, 2, claim.task_id)
    assert len(await pick(redis)) == 1
    assert await redis.exists(job_key(claim.task_id))


async def open_circuit(redis: Redis) -> None:
    """The account is locked, and a probe says that FAL may be asked again."""
    assert await circuits.count_fault(redis, WaitingFor.ACCOUNT)
    await circuits.allow_trial(redis)


async def test_one_image_tries_the_circuit_though_all_permits_are_taken(
    redis: Redis, make_job: MakeJob
) -> None:
    await make_job(8)
    for claim in await pick(redis, max_permits=2):
        await submit(redis, claim)
    await open_circuit(redis)
    assert len(await pick(redis, "w2", max_permits=2, look_ahead=4, own_look_ahead=4)) == 1
    assert await pick(redis, "w2", max_permits=2, look_ahead=4, own_look_ahead=4) == []


async def test_image_that_left_fal_waits_for_the_pause_like_any_other(
    redis: Redis, make_job: MakeJob
) -> None:
    await make_job(1)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await leases.release(redis, Queue.GENERATION, claim.task_id, claim.token, finished=False, score=0)
    (claim,) = await pick(redis)
    assert await steps.try_again(redis, claim.task_id, claim.token, used_attempt=True, error=FAULT)
    assert await circuits.count_fault(redis, WaitingFor.ACCOUNT)
    await leases.release(
        redis, Queue.GENERATION, claim.task_id, claim.token, finished=False, score=claim.score
    )
    assert await pick(redis) == []
    await circuits.allow_trial(redis)
    (trial,) = await pick(redis)
    permit = await take_permit(redis, trial, "a2")
    assert permit is Permit.GRANTED


async def test_operators_pause_holds_back_the_trial(redis: Redis, make_job: MakeJob) -> None:
    await make_job(2)
    await open_circuit(redis)
    (trial,) = await pick(redis)
    await circuits.pause_queue(redis, Queue.GENERATION)
    permit = await take_permit(redis, trial, "a")
    assert permit is Permit.PAUSED
    await circuits.allow_trial(redis)
    assert await pick(redis) == []
    await circuits.resume_queue(redis, Queue.GENERATION)
    assert len(await pick(redis)) == 1


async def test_error_that_nobody_expected_ends_the_image_after_a_few_tries(
    redis: Redis, make_job: MakeJob
) -> None:
    job = await make_job(1)
    for _ in range(leases.MAX_UNFINISHED_RUNS):
        (claim,) = await pick(redis)
        await leases.release(
            redis, Queue.GENERATION, claim.task_id, claim.token, finished=True, score=claim.score
        )
        await redis.execute_command("ZADD", QUEUE, 2, claim.task_id)
    assert await pick(redis) == []
    (image,) = (await job_reads.read_job(redis, job.job_id)).images
    assert image.error is not None
    assert image.error.code == "unexpected_error"


async def test_slot_of_an_image_that_is_gone_comes_free(redis: Redis, make_job: MakeJob) -> None:
    await make_job(3)
    at_fal, prepared, vanished = await pick(redis)
    for claim in (at_fal, vanished):
        await submit(redis, claim)
    assert await reconciliation.release_unused_permits(redis) == 0
    await redis.delete(key("image", vanished.task_id))
    await redis.execute_command("ZADD", key("ahead"), 1, uuid.uuid4().hex)
    assert await reconciliation.release_unused_permits(redis) == 2
    assert await redis.zscore(key("permits"), at_fal.task_id)
    assert await redis.zscore(key("ahead"), prepared.task_id)


async def test_deleted_job_is_never_run_again(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1)
    (claim,) = await pick(redis)
    await steps.fail(redis, claim.task_id, claim.token, FAULT)
    await records.cancel(redis, job.job_id, delete=True)
    with pytest.raises(NotFound):
        await records.retry(redis, job.job_id, None, None, low_priority=False)


async def test_long_pause_is_not_forgotten(redis: Redis) -> None:
    await circuits.pause_queue(redis, Queue.GENERATION)
    await redis.pexpire(key("pause", Queue.GENERATION), 5_000)
    await reconciliation.renew_ttls(redis)
    assert await redis.pttl(key("pause", Queue.GENERATION)) > UNFINISHED_TTL_MS / 2


async def test_job_of_a_thousand_images_is_made_cancelled_and_ended(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1000)
    claims = await pick(redis, free=300, max_permits=300)
    for claim in claims[:3]:
        await begin_post(redis, claim)
    assert await records.cancel(redis, job.job_id) == (997, 3)
    for claim in claims[:3]:
        await steps.fail(redis, claim.task_id, claim.token, FAULT)
    assert (await job_reads.read_job(redis, job.job_id)).counts == Counts(cancelled=997, failed=3)
    assert await permits(redis) == 0


@pytest.mark.parametrize("outcome", ["cancelled", "failed", "succeeded"])
async def test_followers_of_a_run_are_woken_by_its_end(redis: Redis, make_job: MakeJob, outcome: str) -> None:
    first, second = await make_job(0), await make_job(0)
    template = await make_job(1, "template")
    await records.cancel(redis, template.job_id)
    for job in (first, second):
        image = msgspec.structs.replace(template.images[0], image_id=uuid.uuid4().hex, digest="same")
        made = msgspec.structs.replace(job, job_id=uuid.uuid4().hex, images=(image,))
        await records.create(redis, made)
        if job is first:
            leading = made
    (leader,) = await pick(redis)
    if outcome == "cancelled":
        await records.cancel(redis, leading.job_id)
    elif outcome == "failed":
        await steps.fail(redis, leader.task_id, leader.token, FAULT)
    else:
        await submit(redis, leader)
        await finish(redis, leader)
    (follower,) = await pick(redis)
    task = await loading.load(redis, follower.task_id)
    assert task.reuse_of == (leader.task_id if outcome == "succeeded" else "")


async def test_refusal_that_comes_after_the_image_was_released_frees_its_permit(
    redis: Redis, make_job: MakeJob
) -> None:
    job = await make_job(1)
    (claim,) = await pick(redis)
    await begin_post(redis, claim)
    await leases.release(
        redis, Queue.GENERATION, claim.task_id, claim.token, finished=False, score=claim.score
    )
    assert await permits(redis) == 1
    await steps.not_sent(redis, claim.task_id, "another attempt")
    assert await permits(redis) == 1
    await steps.not_sent(redis, claim.task_id, "a1")
    assert await permits(redis) == 0
    assert (await job_reads.read_job(redis, job.job_id)).counts == Counts(queued=1)
    assert [again.task_id for again in await pick(redis)] == [claim.task_id]
