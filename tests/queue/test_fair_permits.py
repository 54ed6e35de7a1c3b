"""Who gets the next permit: the fair order of the whole fleet, not the order of preparation."""

from redis.asyncio import Redis

from image2model.domain import WaitingFor
from image2model.generation import loading
from image2model.jobs import records
from image2model.queue import leases, reconciliation
from image2model.queue.leases import Claim
from image2model.queue.permits import Permit
from image2model.queue.window import UNLIMITED, FalConcurrency
from image2model.store import arq_keys, job_reads
from image2model.store.keys import Queue, key
from tests.support import jobs
from tests.support.window import accept, ask, end, later, pick, run, start

OTHER = "fal-ai/trellis"
TWO = FalConcurrency(2)
ONE_OF_OTHER = FalConcurrency(10, {OTHER: 1})


async def _owner(redis: Redis, claim: Claim) -> str:
    return (await loading.load(redis, claim.task_id)).owner


async def test_permits_are_those_that_run_and_one_more(redis: Redis) -> None:
    await jobs.make_job(redis, 10)
    found = await pick(redis, concurrency=TWO)
    assert len(found) == 3
    found += await pick(redis, concurrency=TWO)
    assert len(found) == 3 + 4  # the look-ahead of the preparation
    assert (await ask(redis, found, concurrency=TWO)).count(Permit.GRANTED) == 3


async def test_look_ahead_is_a_tenth(redis: Redis) -> None:
    await jobs.make_job(redis, 60)
    forty = FalConcurrency(40)
    found = await pick(redis, concurrency=forty) + await pick(redis, concurrency=forty)
    assert (await ask(redis, found, concurrency=forty)).count(Permit.GRANTED) == 44


async def test_picture_of_another_key_gets_the_next_permit(redis: Redis) -> None:
    await jobs.make_job(redis, 100, "crowd")
    crowd = await pick(redis, concurrency=TWO) + await pick(redis, concurrency=TWO)
    assert (await ask(redis, crowd, concurrency=TWO)).count(Permit.GRANTED) == 3
    await jobs.make_job(redis, 1, "ann")
    (newcomer,) = await pick(redis, concurrency=TWO)
    assert await _owner(redis, newcomer) == "ann"
    await redis.zrem(key("permits"), crowd[0].task_id)
    assert await ask(redis, [*crowd[3:], newcomer], concurrency=TWO) == [Permit.NONE_FREE] * 4 + [
        Permit.GRANTED
    ]


async def test_newcomers_beyond_the_look_ahead_are_bounded(redis: Redis) -> None:
    await jobs.make_job(redis, 100, "crowd")
    crowd = await pick(redis, concurrency=TWO) + await pick(redis, concurrency=TWO)
    await ask(redis, crowd, concurrency=TWO)
    for number in range(20):
        await jobs.make_job(redis, 1, f"ann{number}")
    found = []
    while more := await pick(redis, concurrency=TWO):
        found += more
    assert len(found) == 4


async def test_one_key_that_comes_again_and_again_takes_turns(redis: Redis) -> None:
    await jobs.make_job(redis, 60, "crowd")
    owners = []
    one = FalConcurrency(1)
    for _ in range(20):
        await jobs.make_job(redis, 1, "pusher")
        found = await pick(redis, concurrency=one)
        for claim, permit in zip(found, await ask(redis, found, concurrency=one), strict=True):
            if permit is Permit.GRANTED:
                owners.append(await _owner(redis, claim))
        await redis.delete(key("permits"))
        waiting = [claim for claim in found if await redis.zscore(key("ahead"), claim.task_id) is not None]
        for claim in waiting:
            await leases.release(
                redis, Queue.GENERATION, claim.task_id, claim.token, finished=False, score=claim.score
            )
    assert abs(owners.count("crowd") - owners.count("pusher")) <= 2


async def test_worker_that_no_longer_asks_blocks_nobody(redis: Redis) -> None:
    await jobs.make_job(redis, 5)
    first, second, third, gone, alive = await pick(redis, concurrency=UNLIMITED)
    assert await ask(redis, [first, second, third], concurrency=TWO) == [Permit.GRANTED] * 3
    assert await ask(redis, [gone], concurrency=TWO) == [Permit.NONE_FREE]
    await redis.zrem(key("permits"), first.task_id)
    assert await ask(redis, [alive], concurrency=TWO) == [Permit.NONE_FREE]
    await later(redis, 1.1)
    assert await ask(redis, [alive], concurrency=TWO) == [Permit.GRANTED]


async def test_low_priority_gets_one_permit_of_ten(redis: Redis) -> None:
    await jobs.make_job(redis, 60)
    await jobs.make_job(redis, 5, low=True)
    priorities = []
    for _ in range(44):
        (claim,) = (
            await leases.pick(
                redis, Queue.GENERATION, "w1", free=1, reserve=0, lease_s=600.0, max_permits=1000
            )
        ).claims
        assert await ask(redis, [claim], concurrency=FalConcurrency(100)) == [Permit.GRANTED]
        priorities.append((await loading.load(redis, claim.task_id)).priority)
    assert [place for place, one in enumerate(priorities) if one == "low"] == [9, 19, 29, 39]


async def test_pictures_of_low_priority_set_nobody_of_normal_back(redis: Redis) -> None:
    await jobs.make_job(redis, 500, "ann", low=True)
    await jobs.make_job(redis, 20, "bob")
    await jobs.make_job(redis, 20, "ann")
    owners = []
    for _ in range(20):
        (claim,) = (
            await leases.pick(
                redis, Queue.GENERATION, "w1", free=1, reserve=0, lease_s=600.0, max_permits=1000
            )
        ).claims
        await ask(redis, [claim], concurrency=FalConcurrency(100))
        if (await loading.load(redis, claim.task_id)).priority == "normal":
            owners.append(await _owner(redis, claim))
    assert abs(owners.count("ann") - owners.count("bob")) <= 1


async def test_full_endpoint_holds_up_nobody_else(redis: Redis) -> None:
    limited = await jobs.make_job(redis, 500, "crowd", model=OTHER)
    await jobs.make_job(redis, 30, "crowd")
    found = []
    for _ in range(6):  # a pick looks at 200 at most
        found += await pick(redis, concurrency=ONE_OF_OTHER)
    models = [(await loading.load(redis, claim.task_id)).model for claim in found]
    assert models.count(OTHER) == 3
    permits = await ask(redis, found, concurrency=ONE_OF_OTHER)
    granted = [model for model, permit in zip(models, permits, strict=True) if permit is Permit.GRANTED]
    assert granted.count(OTHER) == 2  # one that runs, one that waits
    assert len(granted) - 1 == 11  # the one that waits uses nothing of the account's window
    scores = [
        await redis.zscore(arq_keys.queue_key(Queue.GENERATION), image.image_id) for image in limited.images
    ]
    assert scores.count(float(arq_keys.AWAITING_WINDOW)) == 497


async def test_end_of_a_full_endpoint_lets_its_next_picture_go_on(redis: Redis) -> None:
    job = await jobs.make_job(redis, 5, "crowd", model=OTHER)
    found = await pick(redis, concurrency=ONE_OF_OTHER)
    assert len(found) == 3
    assert await pick(redis, concurrency=ONE_OF_OTHER) == []
    await run(redis, found[:1])
    await end(redis, found[0])
    (more,) = await pick(redis, concurrency=ONE_OF_OTHER)
    assert more.task_id in {image.image_id for image in job.images}
    assert await pick(redis, concurrency=ONE_OF_OTHER) == []


async def test_pictures_of_an_endpoint_without_limit_any_more_go_on(redis: Redis) -> None:
    await jobs.make_job(redis, 10, model=OTHER)
    assert len(await pick(redis, concurrency=ONE_OF_OTHER)) == 3
    await pick(redis, concurrency=ONE_OF_OTHER)
    await later(redis, 1)
    assert len(await pick(redis, concurrency=FalConcurrency(10))) == 7


async def test_cancelled_picture_leaves_the_window_of_its_endpoint(redis: Redis) -> None:
    job = await jobs.make_job(redis, 10, model=OTHER)
    await pick(redis, concurrency=ONE_OF_OTHER)
    await pick(redis, concurrency=ONE_OF_OTHER)
    assert await redis.zcard(key("window_waiting", OTHER)) == 7
    await records.cancel(redis, job.job_id)
    assert await redis.zcard(key("window_waiting", OTHER)) == 0
    assert await redis.zcard(arq_keys.queue_key(Queue.GENERATION)) == 0


async def test_reconciler_finds_a_picture_that_no_set_holds(redis: Redis) -> None:
    job = await jobs.make_job(redis, 5, model=OTHER)
    await pick(redis, concurrency=ONE_OF_OTHER)
    await pick(redis, concurrency=ONE_OF_OTHER)
    await redis.delete(key("window_waiting", OTHER), key("window_models"))
    assert await reconciliation.repair(redis, job.job_id) == 2
    await later(redis, 1)


async def _reason(
    redis: Redis, job_id: str, max_permits: int, concurrency: FalConcurrency
) -> WaitingFor | None:
    await redis.delete(key("waiting_told"))
    await reconciliation.refresh_waiting(redis, max_permits=max_permits, concurrency=concurrency)
    return (await job_reads.read_job(redis, job_id)).job.waiting_for


async def test_job_waits_for_its_turn_or_for_the_limit(redis: Redis) -> None:
    crowd = await pick_all(redis, 3)
    for claim in crowd:
        await accept(redis, claim)
        await start(redis, claim)
    job = await jobs.make_job(redis, 1, "ann")
    assert await _reason(redis, job.job_id, 100, TWO) is WaitingFor.TURN
    assert await _reason(redis, job.job_id, 3, TWO) is WaitingFor.LIMIT
    assert await _reason(redis, job.job_id, 100, FalConcurrency(10)) is None


async def pick_all(redis: Redis, count: int) -> list[Claim]:
    """New images of the crowd, being prepared."""
    await jobs.make_job(redis, count, "crowd")
    return await pick(redis)


async def test_window_is_off_while_processes_of_version_2_are_left(redis: Redis) -> None:
    await jobs.make_job(redis, 10)
    await redis.hset(key("store"), "version", "2")
    found = await pick(redis, concurrency=TWO)
    assert await ask(redis, found, concurrency=TWO) == [Permit.GRANTED] * 10
