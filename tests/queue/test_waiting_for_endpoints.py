"""Images that wait for an endpoint of FAL's: what they hold, keep and say, and how they go on or give up."""

import asyncio

from redis.asyncio import Redis

from image2model.domain import Counts, WaitingFor
from image2model.generation import loading, steps
from image2model.jobs import records
from image2model.queue import circuits, permits, reconciliation
from image2model.queue.circuits import Fault, FaultOutcome
from image2model.queue.permits import Permit
from image2model.store import job_reads
from image2model.store.arq_keys import AWAITING_ENDPOINT, START_NEXT, queue_key
from image2model.store.keys import Queue, key
from tests.support.circuits import generation_pauses, open_circuits
from tests.support.endpoint_steps import (
    BAD,
    LATER,
    PATIENT,
    WORDS,
    WORSE,
    next_probe,
    refuse,
    release,
    tend,
    waiting,
)
from tests.support.fixtures import MakeJob
from tests.support.jobs import finish, submit, take_permit
from tests.support.leases import pick
from tests.support.wait import until


async def test_refused_endpoint_keeps_its_own_images_only(redis: Redis, make_job: MakeJob) -> None:
    await make_job(3, model=BAD)
    good = await make_job(3)
    first, *_ = await pick(redis, free=1)
    assert await refuse(redis, first, LATER) == FaultOutcome(True, "")
    picked = {claim.task_id for claim in await pick(redis)}
    assert picked == {image.image_id for image in good.images}
    assert await waiting(redis) == 3
    (state,) = await open_circuits(redis)
    assert (state.model, state.why, state.message) == (BAD, Fault.REFUSED, WORDS)
    assert await generation_pauses(redis) == ()


async def test_images_that_wait_are_looked_at_by_no_pick(redis: Redis, make_job: MakeJob) -> None:
    await make_job(450, model=BAD)
    (first,) = await pick(redis, free=1)
    await refuse(redis, first, LATER)
    good = await make_job(1)
    for _ in range(3):  # so many are looked at in one call
        claims = await pick(redis)
    assert [claim.task_id for claim in claims] == [good.images[0].image_id]
    scores = await redis.zrange(queue_key(Queue.GENERATION), 0, -1, withscores=True)
    assert sum(score == AWAITING_ENDPOINT for _, score in scores) == 450


async def test_image_that_waits_holds_nothing(redis: Redis, make_job: MakeJob) -> None:
    await make_job(2, model=BAD)
    one, other = await pick(redis)
    assert await take_permit(redis, one) is Permit.GRANTED
    await refuse(redis, one, LATER)
    assert await take_permit(redis, other) is Permit.REFUSED
    await release(redis, other)
    assert await redis.zcard(key("permits")) == await redis.zcard(key("ahead")) == 0
    assert await redis.zcard(key("leases", Queue.GENERATION)) == 0
    assert await waiting(redis) == 2


async def test_refused_image_waits_for_no_permit(redis: Redis, make_job: MakeJob) -> None:
    good, bad = await make_job(2), await make_job(2, model=BAD)
    claims = {claim.task_id: claim for claim in await pick(redis)}
    ours = [claims[image.image_id] for image in (*good.images, *bad.images)]
    await refuse(redis, ours[3], LATER)
    requests = [
        permits.PermitRequest(claim.task_id, claim.token, "a1", "http://cdn/1.png") for claim in ours[:3]
    ]
    answers = await permits.take(redis, requests, max_permits=1)
    assert answers == [Permit.GRANTED, Permit.NONE_FREE, Permit.REFUSED]


async def test_one_image_probes_and_its_acceptance_releases_the_others_in_order(
    redis: Redis, make_job: MakeJob
) -> None:
    job = await make_job(4, model=BAD)
    (first,) = await pick(redis, free=1)
    await refuse(redis, first)
    assert await pick(redis) == []
    probe = await next_probe(redis)
    assert probe.task_id == job.images[0].image_id
    assert await pick(redis) == []
    await submit(redis, probe)
    assert await open_circuits(redis) == ()
    late = await make_job(1)
    order = [claim.task_id for claim in await pick(redis)]
    assert order == [image.image_id for image in (*job.images[1:], *late.images)]


async def test_cancelled_image_leaves_its_endpoint_at_once(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(2, model=BAD)
    (first,) = await pick(redis, free=1)
    await refuse(redis, first, LATER)
    await pick(redis)
    assert await records.cancel(redis, job.job_id) == (2, 0)
    assert await waiting(redis) == 0
    assert await redis.zcard(key("endpoint_since", BAD)) == 0


async def test_impatient_image_gives_up_with_fals_words_and_costs_nothing(
    redis: Redis, make_job: MakeJob
) -> None:
    job = await make_job(1, model=BAD)
    (first,) = await pick(redis)
    await refuse(redis, first, LATER)
    await tend(redis, pace=LATER)
    assert (await job_reads.read_job(redis, job.job_id)).counts == Counts(queued=1)

    async def gave_up() -> bool:
        await tend(redis, patience_s=0.05, pace=LATER)
        return (await job_reads.read_job(redis, job.job_id)).counts == Counts(failed=1)

    await until(gave_up)
    (image,) = (await job_reads.read_job(redis, job.job_id)).images
    assert image.error is not None
    assert (image.error.code, image.error.retryable) == ("endpoint_unavailable", True)
    assert WORDS in image.error.message
    assert image.cost_micro is None
    assert await redis.hmget(key("account", "ann"), ["unfinished", "reserved"]) == [b"0", b"0"]


async def test_pause_does_not_count_as_patience_and_a_retry_begins_a_new_one(
    redis: Redis, make_job: MakeJob
) -> None:
    job = await make_job(1, model=BAD)
    (first,) = await pick(redis)
    await refuse(redis, first, LATER)
    await circuits.pause_queue(redis, Queue.GENERATION)
    await asyncio.sleep(0.2)  # the time that must not count
    await tend(redis, patience_s=0.15, pace=LATER)
    await circuits.resume_queue(redis, Queue.GENERATION)
    await tend(redis, patience_s=0.15, pace=LATER)
    assert (await job_reads.read_job(redis, job.job_id)).counts == Counts(queued=1)

    async def gave_up() -> bool:
        await tend(redis, patience_s=0.15, pace=LATER)
        return (await job_reads.read_job(redis, job.job_id)).counts == Counts(failed=1)

    await until(gave_up)
    assert await records.retry(redis, job.job_id, None, None, low_priority=False)
    assert await pick(redis) == []
    await tend(redis, patience_s=0.15, pace=LATER)
    assert (await job_reads.read_job(redis, job.job_id)).counts == Counts(queued=1)


async def test_time_to_start_does_not_count_while_it_waits(redis: Redis, make_job: MakeJob) -> None:
    await make_job(1, model=BAD)
    (claim,) = await pick(redis)
    assert await steps.try_again(redis, claim.task_id, claim.token, used_attempt=False, start_timeout_s=0.05)
    await release(redis, claim)
    (claim,) = await pick(redis)
    await refuse(redis, claim)
    await asyncio.sleep(0.1)  # longer than it may try to start
    probe = await next_probe(redis)
    assert await steps.try_again(redis, probe.task_id, probe.token, used_attempt=False, start_timeout_s=0.05)


async def test_jobs_say_that_they_wait_for_their_endpoint_and_a_pause_comes_first(
    redis: Redis, make_job: MakeJob
) -> None:
    bad = await make_job(1, model=BAD)
    good = await make_job(1)
    (first,) = await pick(redis, free=1)
    await refuse(redis, first, LATER)

    async def waits_for(job_id: str) -> WaitingFor | None:
        await redis.delete(key("waiting_told"))
        await reconciliation.refresh_waiting(redis, max_permits=0)
        return (await job_reads.read_job(redis, job_id)).job.waiting_for

    assert await waits_for(bad.job_id) is WaitingFor.ENDPOINT
    assert await waits_for(good.job_id) is WaitingFor.LIMIT
    await circuits.count_fault(redis, WaitingFor.ACCOUNT)
    assert await waits_for(bad.job_id) is WaitingFor.ACCOUNT


async def test_same_pictures_wait_for_their_endpoint_each_for_itself(redis: Redis, make_job: MakeJob) -> None:
    leader = await make_job(1, model=BAD, digest="same")
    (claim,) = await pick(redis)
    await make_job(2, model=BAD, digest="same")
    assert await pick(redis) == []
    await refuse(redis, claim)
    assert await pick(redis) == []
    assert await waiting(redis) == 3
    await records.cancel(redis, leader.job_id)
    probe = await next_probe(redis)
    await submit(redis, probe)
    assert await pick(redis) == []
    await finish(redis, probe)
    (reused,) = await pick(redis)
    assert (await loading.load(redis, reused.task_id)).reuse_of == probe.task_id


async def test_result_that_is_there_needs_no_endpoint(redis: Redis, make_job: MakeJob) -> None:
    await make_job(1, model=BAD, digest="same")
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await make_job(1, model=BAD, digest="same")
    other = await make_job(1, model=BAD)
    (refused,) = await pick(redis)
    assert refused.task_id == other.images[0].image_id
    await refuse(redis, refused, LATER)
    await finish(redis, claim)
    (reused,) = await pick(redis)
    assert (await loading.load(redis, reused.task_id)).reuse_of == claim.task_id


async def test_reconciler_leaves_those_that_wait_and_finds_those_that_nobody_knows(
    redis: Redis, make_job: MakeJob
) -> None:
    job = await make_job(2, model=BAD)
    (first,) = await pick(redis, free=1)
    await refuse(redis, first, LATER)
    await pick(redis)
    assert await reconciliation.repair(redis, job.job_id) == 0
    assert await reconciliation.release_unused_permits(redis) == 0
    assert await waiting(redis) == 2
    await reconciliation.renew_ttls(redis)
    assert await redis.pttl(key("endpoint_since", BAD)) > 0
    lost = job.images[1].image_id
    await redis.zrem(key("endpoint_waiting", BAD), lost)
    assert await reconciliation.repair(redis, job.job_id) == 1
    assert await redis.zscore(queue_key(Queue.GENERATION), lost) == START_NEXT


async def test_erased_job_leaves_nothing_at_its_endpoint(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1, model=BAD)
    (first,) = await pick(redis)
    await refuse(redis, first, LATER)
    await records.erase(redis, job.job_id)
    assert await redis.zcard(key("endpoint_waiting", BAD)) == 0
    assert await redis.zcard(key("endpoint_since", BAD)) == 0


async def test_older_worker_that_ends_or_queues_a_waiting_image_leaves_it_where_it_put_it(
    redis: Redis, make_job: MakeJob
) -> None:
    """It knows nothing of endpoints, so it moves the image in the queue and leaves the endpoint's list."""
    await make_job(3, model=BAD)
    (first,) = await pick(redis, free=1)
    await refuse(redis, first)
    await pick(redis)
    ended, queued, _ = [m.decode() for m in await redis.zrange(key("endpoint_waiting", BAD), 0, -1)]
    queue = queue_key(Queue.GENERATION)
    await redis.zrem(queue, ended)
    await redis.hset(key("image", ended), "status", "cancelled")
    await redis.zadd(queue, {queued: START_NEXT})
    await reconciliation.release_unused_permits(redis)
    assert await waiting(redis) == 1
    await submit(redis, await next_probe(redis))
    assert [claim.task_id for claim in await pick(redis)] == [queued]
    assert await redis.zscore(queue, ended) is None


async def test_endpoints_that_are_taken_for_the_accounts_fault_are_not_waited_for_for_ever(
    redis: Redis, make_job: MakeJob
) -> None:
    """Two of them are refused, and nobody asks for another one that could pass."""
    made = [await make_job(1, model=BAD), await make_job(1, model=WORSE)]
    one, other = await pick(redis)
    await refuse(redis, one, LATER)
    assert (await refuse(redis, other, LATER)).paused == "account"
    await pick(redis)
    await tend(redis, patience_s=PATIENT, pace=LATER)
    assert [(await job_reads.read_job(redis, job.job_id)).counts.failed for job in made] == [0, 0]

    async def gave_up() -> bool:
        await tend(redis, patience_s=0.05, pace=LATER)
        return all([(await job_reads.read_job(redis, job.job_id)).counts.failed for job in made])

    await until(gave_up)
    (image,) = (await job_reads.read_job(redis, made[0].job_id)).images
    assert image.error is not None
    assert image.error.code == "endpoint_unavailable"
