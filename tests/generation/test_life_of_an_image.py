"""What the scripts promise about one image: legal moves, fences, counts, events."""

import asyncio

import msgspec
import pytest
from redis.asyncio import Redis

from image2model.domain import Counts, ImageError, ImageStatus, JobStatus
from image2model.errors import IdempotencyConflict, NotFound, StaleFence
from image2model.events import history
from image2model.events.history import ImageChanged, JobCompleted
from image2model.generation import loading, steps
from image2model.jobs import records, reservations
from image2model.queue import leases
from image2model.store import job_reads
from image2model.store.durability import Replicas
from image2model.store.keys import Queue, key
from tests.support.fixtures import MakeJob
from tests.support.jobs import REQUEST, finish, submit, take_permit
from tests.support.leases import pick

S = ImageStatus


async def test_image_goes_through_its_states_and_ends_its_job(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await finish(redis, claim)
    snapshot = await job_reads.read_job(redis, job.job_id)
    assert snapshot.counts == Counts(succeeded=1)
    assert snapshot.counts.status is JobStatus.SUCCEEDED
    assert snapshot.job.cost_micro == 300_000
    assert snapshot.job.expires_at == (snapshot.job.finished_at or 0) + 60_000
    past = await history.of_job(redis, job.job_id, 0)
    seen = [e.body.image.status for e in past if isinstance(e.body, ImageChanged)]
    assert seen == [S.QUEUED, S.PREPARING, S.SUBMITTED, S.GENERATING, S.STORING, S.SUCCEEDED]
    assert isinstance(past[-1].body, JobCompleted)
    assert [e.version for e in past] == list(range(1, len(past) + 1))
    assert snapshot.version == past[-1].version


async def test_step_with_anothers_fence_changes_nothing(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1)
    (claim,) = await pick(redis)
    before = await job_reads.read_job(redis, job.job_id)
    with pytest.raises(StaleFence):
        await steps.move(redis, claim.task_id, "w9:9", S.SUBMITTED)
    assert await job_reads.read_job(redis, job.job_id) == before


async def test_illegal_move_is_refused(redis: Redis, make_job: MakeJob) -> None:
    await make_job(1)
    (claim,) = await pick(redis)
    with pytest.raises(StaleFence):
        await steps.move(redis, claim.task_id, claim.token, S.STORING)


async def test_two_workers_never_pick_the_same_image(redis: Redis, make_job: MakeJob) -> None:
    await make_job(20)
    picks = await asyncio.gather(*(pick(redis, f"w{i}", free=5) for i in range(8)))
    ids = [claim.task_id for claims in picks for claim in claims]
    assert len(ids) == len(set(ids)) == 20


async def test_permits_bound_the_fleet_and_come_free_at_the_end(redis: Redis, make_job: MakeJob) -> None:
    await make_job(5)
    first = await pick(redis, max_permits=2)
    assert len(first) == 2
    assert await pick(redis, "w2", max_permits=2) == []
    await submit(redis, first[0])
    await finish(redis, first[0])
    assert len(await pick(redis, "w2", max_permits=2)) == 1


async def test_expired_lease_before_the_post_goes_back_to_queued_at_the_front(
    redis: Redis, make_job: MakeJob
) -> None:
    lost = await make_job(1)
    (claim,) = await pick(redis, lease_s=1.0)
    await make_job(3, "bob")
    await until_swept(redis)
    snapshot = await job_reads.read_job(redis, lost.job_id)
    assert snapshot.images[0].status is S.QUEUED
    (again,) = await pick(redis, "w2", free=1)
    assert again.task_id == claim.task_id
    with pytest.raises(StaleFence):
        await steps.mark_posting(Replicas(redis), claim.task_id, claim.token)


async def until_swept(redis: Redis) -> None:
    """Sweep as the workers do until one lease has run out."""
    async with asyncio.timeout(60):
        while not await leases.sweep(redis, Queue.GENERATION, lease_s=1.0):
            await asyncio.sleep(0.05)


async def test_image_at_fal_is_followed_by_another_worker_without_a_slot(
    redis: Redis, make_job: MakeJob
) -> None:
    await make_job(1)
    (claim,) = await pick(redis, lease_s=1.0)
    await submit(redis, claim)
    await until_swept(redis)
    (again,) = await pick(redis, "w2", free=0)
    task = await loading.load(redis, again.task_id)
    assert task.request == REQUEST
    assert task.status is S.SUBMITTED


async def test_stale_worker_may_still_store_the_id_of_what_it_posted(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1)
    (claim,) = await pick(redis, lease_s=1.0)
    await take_permit(redis, claim)
    await steps.mark_posting(Replicas(redis), claim.task_id, claim.token)
    await until_swept(redis)
    (again,) = await pick(redis, "w2", free=0)
    stored = await steps.commit_submission(Replicas(redis), claim.task_id, claim.token, "a1", REQUEST)
    assert stored is steps.Committed.ANOTHERS
    assert (await loading.load(redis, again.task_id)).request == REQUEST
    assert (await job_reads.read_job(redis, job.job_id)).images[0].status is S.SUBMITTED


async def test_late_id_reopens_an_unconfirmed_image(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1)
    (claim,) = await pick(redis)
    await take_permit(redis, claim)
    await steps.mark_posting(Replicas(redis), claim.task_id, claim.token)
    error = ImageError("submission_unconfirmed", "lost", retryable=True)
    await steps.fail(redis, claim.task_id, claim.token, error)
    assert (await job_reads.read_job(redis, job.job_id)).counts.status is JobStatus.FAILED
    await steps.commit_submission(Replicas(redis), claim.task_id, claim.token, "a1", REQUEST)
    snapshot = await job_reads.read_job(redis, job.job_id)
    assert snapshot.counts == Counts(submitted=1)
    assert snapshot.job.finished_at is None
    assert snapshot.images[0].error is None
    (again,) = await pick(redis, "w2", free=0)
    assert again.task_id == claim.task_id


async def test_id_of_a_superseded_attempt_is_refused(redis: Redis, make_job: MakeJob) -> None:
    await make_job(1)
    (claim,) = await pick(redis)
    await take_permit(redis, claim, "a2")
    stored = await steps.commit_submission(Replicas(redis), claim.task_id, claim.token, "a1", REQUEST)
    assert stored is steps.Committed.SUPERSEDED


async def test_cancel_ends_what_was_not_posted_and_marks_the_rest(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(3)
    first, second = await pick(redis, free=2)
    await submit(redis, first)
    assert await records.cancel(redis, job.job_id) == (2, 1)
    snapshot = await job_reads.read_job(redis, job.job_id)
    assert snapshot.counts == Counts(submitted=1, cancelled=2)
    assert snapshot.job.cancel_requested
    with pytest.raises(StaleFence):
        await steps.mark_posting(Replicas(redis), second.task_id, second.token)
    renewal = await leases.renew(
        redis, Queue.GENERATION, [(first.task_id, first.token), (second.task_id, second.token)], lease_s=5
    )
    assert renewal == leases.Renewal(lost=[second.task_id], cancelled=[first.task_id])
    assert await steps.move(redis, first.task_id, first.token, S.GENERATING)


async def test_retry_runs_failed_images_again_and_reopens_the_job(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(2)
    first, second = await pick(redis)
    await submit(redis, first)
    await finish(redis, first)
    await steps.fail(redis, second.task_id, second.token, ImageError("x", "y", retryable=False))
    assert (await job_reads.read_job(redis, job.job_id)).counts.status is JobStatus.PARTIAL
    assert await records.retry(redis, job.job_id, None, {"texture": "no"}, low_priority=False) == [
        second.task_id
    ]
    snapshot = await job_reads.read_job(redis, job.job_id)
    assert snapshot.counts == Counts(succeeded=1, queued=1)
    assert snapshot.job.expires_at is None
    (again,) = await pick(redis)
    task = await loading.load(redis, again.task_id)
    assert (task.attempt, task.params, task.attempt_token) == (2, {"texture": "no"}, "")


async def test_deleted_job_is_gone_at_once_and_silent(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await records.cancel(redis, job.job_id, delete=True)
    with pytest.raises(NotFound):
        await job_reads.read_job(redis, job.job_id)
    await finish(redis, claim)
    assert (
        len((await leases.pick(redis, Queue.BATCH, "w", free=5, reserve=0, lease_s=5, max_permits=1)).claims)
        == 1
    )
    await records.erase(redis, job.job_id)
    assert await redis.exists(key("job", job.job_id), key("image", claim.task_id)) == 0


async def test_keys_share_the_queue_in_turn(redis: Redis, make_job: MakeJob) -> None:
    await make_job(30, "big")
    picked = await pick(redis, free=10)
    small = await make_job(3, "small")
    wanted = {image.image_id for image in small.images}
    picked = await pick(redis, "w2", free=6)
    assert sum(claim.task_id in wanted for claim in picked) == 3


async def test_low_priority_waits_for_normal(redis: Redis, make_job: MakeJob) -> None:
    await make_job(2, low=True)
    normal = await make_job(2, "bob")
    picked = await pick(redis, free=2)
    assert {c.task_id for c in picked} == {i.image_id for i in normal.images}


async def test_release_gives_the_image_back_without_a_trace_of_a_crash(
    redis: Redis, make_job: MakeJob
) -> None:
    job = await make_job(1)
    for _ in range(leases.MAX_CRASHES + 2):
        (claim,) = await pick(redis)
        assert await leases.release(
            redis, Queue.GENERATION, claim.task_id, claim.token, finished=False, score=claim.score
        )
    assert (await job_reads.read_job(redis, job.job_id)).images[0].status is S.QUEUED


async def _crash_over(redis: Redis, claim: leases.Claim) -> None:
    await redis.execute_command("ZADD", key("leases", "model_generation"), 1, claim.task_id)
    assert await leases.sweep(redis, Queue.GENERATION, lease_s=5) == 1


async def test_timeout_is_known_to_the_next_holder_and_to_no_later_attempt(
    redis: Redis, make_job: MakeJob
) -> None:
    await make_job(1)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await steps.note_timeout(redis, claim.task_id, claim.token)
    await _crash_over(redis, claim)
    (claim,) = await pick(redis, "w2")
    assert (await loading.load(redis, claim.task_id)).timed_out
    assert await steps.try_again(redis, claim.task_id, claim.token, used_attempt=True)
    assert not (await loading.load(redis, claim.task_id)).timed_out


async def test_owner_history_is_consecutive_over_jobs(redis: Redis, make_job: MakeJob) -> None:
    await make_job(2)
    await make_job(3)
    past = await history.of_owner(redis, "ann", 0)
    assert [seq for seq, _ in past] == [1, 2, 3, 4, 5]
    assert [seq for seq, _ in await history.of_owner(redis, "ann", 3)] == [4, 5]


async def test_attempt_whose_end_is_reported_twice_counts_once(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    for _ in range(2):  # as a connection does that lost the first reply
        assert await steps.try_again(redis, claim.task_id, claim.token, used_attempt=True)
    assert (await job_reads.read_job(redis, job.job_id)).images[0].attempt == 2
    assert (await loading.load(redis, claim.task_id)).attempts_used == 1


async def test_job_that_was_given_up_never_comes_to_be(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1)
    assert await reservations.forbid(redis, job.job_id)
    assert not await reservations.forbid(redis, "late")
    with pytest.raises(IdempotencyConflict):
        await records.create(redis, msgspec.structs.replace(job, job_id="late"))
    assert not await redis.exists(key("job", "late"))
