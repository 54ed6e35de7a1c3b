"""Whatever workers, clients and FAL do, in any order, perhaps twice: money adds up, and no image is lost."""

import pytest
from redis.asyncio import Redis

from image2model.domain import FalRequest, ImageStatus
from image2model.errors import StaleFence
from image2model.generation import loading, steps
from image2model.queue import circuits, confirmations, leases, permits
from image2model.store import arq_keys
from image2model.store.durability import Replicas
from image2model.store.keys import Queue, key
from tests.support.invariants import QUEUE, check
from tests.support.jobs import RESULT
from tests.support.prepared_steps import PreparedSequence, finish
from tests.support.random_steps import PACE, Sequence

S = ImageStatus
STEPS = 150
PATIENT = 3600.0


async def all_come_due(redis: Redis) -> None:
    """Workers are gone, waits are over."""
    leased = key("leases", Queue.GENERATION)
    for image_id in await redis.zrange(leased, 0, -1):
        await redis.zadd(leased, {image_id: 1})
    await leases.sweep(redis, Queue.GENERATION, lease_s=600)
    for image_id, score in await redis.zrange(QUEUE, 0, -1, withscores=True):
        if score < 0 or arq_keys.DUE_AT < score < arq_keys.AWAITING_REUSE:
            due = arq_keys.FOLLOW_AT if score < 0 else arq_keys.DUE_AT
            await redis.zadd(QUEUE, {image_id: due})


async def succeed(redis: Redis, claim: leases.Claim) -> None:
    """Take an image from wherever it is to its end; one that must not be sent is released."""
    task, replicas = await loading.load(redis, claim.task_id), Replicas(redis)
    if task.reuse_of and task.request is None:
        return await steps.take_result(redis, task.image_id, claim.token, RESULT)
    attempt = task.attempt_token
    if task.request is None and not task.posting_at:
        attempt = f"last-{task.image_id}"
        wanted = permits.PermitRequest(task.image_id, claim.token, attempt, "http://cdn/last")
        if await permits.take(redis, [wanted], max_permits=1000) != [permits.Permit.GRANTED]:
            await leases.release(
                redis, Queue.GENERATION, task.image_id, claim.token, finished=False, score=claim.score
            )
            return None
        await steps.mark_posting(replicas, task.image_id, claim.token)
    if task.request is None:
        request = FalRequest(f"request-{attempt}", "http://s", "http://r", "http://c")
        await steps.commit_submission(replicas, task.image_id, claim.token, attempt, request)
    await steps.move(redis, task.image_id, claim.token, S.STORING)
    await steps.succeed(redis, task.image_id, claim.token, RESULT)
    return None


async def drain(redis: Redis) -> None:
    """FAL is well again, and nobody confirms anything: every image that is left comes to an end."""
    await circuits.resume_queue(redis, Queue.GENERATION)
    for _ in range(200):
        if not await redis.zcard(QUEUE):
            return
        await all_come_due(redis)
        for image_id in await redis.zrange(key("confirmations"), 0, -1):
            await redis.zadd(key("confirmations"), {image_id: 1})
        await confirmations.expire(redis)
        await circuits.maintain_endpoints(redis, patience_s=PATIENT, pace=PACE)
        if await circuits.claim_probe(redis):
            await circuits.allow_trial(redis)
        claims = (
            await leases.pick(redis, Queue.GENERATION, "w", free=9, reserve=9, lease_s=600, max_permits=1000)
        ).claims
        for claim in claims:
            try:
                if not await finish(redis, claim):
                    await succeed(redis, claim)
            except StaleFence:  # a cancel was asked for
                continue
    pytest.fail(f"left: {await redis.zrange(QUEUE, 0, -1, withscores=True)}")


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
async def test_money_adds_up_where_pictures_are_prepared(redis: Redis, seed: int) -> None:
    sequence = PreparedSequence(redis, seed)
    for _ in range(STEPS):
        await sequence.step()
        sequence.fences = await check(redis, "ann", sequence.jobs, sum(sequence.booked.values()))
    await drain(redis)
    await check(redis, "ann", sequence.jobs, sum(sequence.booked.values()))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
async def test_money_adds_up_and_no_image_is_lost(redis: Redis, seed: int) -> None:
    sequence = Sequence(redis, seed)
    for _ in range(STEPS):
        await sequence.step()
        sequence.fences = await check(redis, "ann", sequence.jobs, sum(sequence.booked.values()))
    await drain(redis)
    await check(redis, "ann", sequence.jobs, sum(sequence.booked.values()))
