"""Unfinished images of an address: their number is never another than it says, whatever happens to them."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from redis.asyncio import Redis

from image2model.access.accounts import AddressCap, Allowance
from image2model.domain import IMAGE_UNFINISHED
from image2model.errors import NotFound, QueueFull, StaleFence
from image2model.generation import steps
from image2model.jobs import records
from image2model.jobs.new_jobs import NewJob
from image2model.queue import leases, reconciliation
from image2model.store import job_reads
from image2model.store.arq_keys import in_progress_key, job_key
from image2model.store.connection import command
from image2model.store.durability import Replicas
from image2model.store.keys import Queue, key
from tests.support.fixtures import MakeJob
from tests.support.jobs import REQUEST, fail, finish, pick, submit, take_permit

STEPS = 250
CAP = 12
UNFINISHED = {status.value for status in IMAGE_UNFINISHED}
ADDRESSES = ("192.0.2.1", "192.0.2.2")


def allowance(address: str) -> Allowance:
    return Allowance(key="", max_queued=1000, budget=None, address=AddressCap(address, CAP))


async def _texts(redis: Redis, name: str) -> dict[str, str]:
    return {a.decode(): b.decode() for a, b in (await command(redis, "HGETALL", key(name))).items()}


async def counted(redis: Redis) -> dict[str, int]:
    return {address: int(count) for address, count in (await _texts(redis, "addresses")).items()}


class Walk:
    """Does anything to anything, as a service with several workers and bad luck would."""

    def __init__(self, redis: Redis, make_job: MakeJob, seed: int) -> None:
        self._redis, self._make_job = redis, make_job
        self._random = random.Random(seed)
        self._jobs: list[NewJob] = []
        self._held: list[leases.Claim] = []

    async def step(self) -> None:
        """One change; what is refused changes nothing."""
        does: list[Callable[[], Awaitable[None]]] = [self._make, self._make, self._start, self._start]
        does += [self._end, self._end, self._try_again, self._cancel, self._retry, self._lose, self._erase]
        with suppress(NotFound, QueueFull, StaleFence):
            await self._random.choice(does)()

    async def check(self) -> None:
        """Every unfinished image that came from an address counts for it, and no other does."""
        origins = await _texts(self._redis, "origins")
        made = [image.image_id for job in self._jobs for image in job.images]
        pipe = self._redis.pipeline()
        for image_id in made:
            pipe.hget(key("image", image_id), "status")
        statuses = zip(made, await pipe.execute(), strict=True)
        assert set(origins) == {name for name, status in statuses if status and status.decode() in UNFINISHED}
        counts = await counted(self._redis)
        assert counts == Counter(origins.values())
        assert max(counts.values(), default=0) <= CAP

    async def end(self) -> None:
        """Nothing goes on."""
        for job in self._jobs:
            await records.erase(self._redis, job.job_id)

    def _job(self) -> str:
        return self._random.choice(self._jobs).job_id if self._jobs else "none"

    def _claim(self) -> leases.Claim:
        if not self._held:
            raise StaleFence("nothing is held")
        return self._random.choice(self._held)

    async def _make(self) -> None:
        address = self._random.choice(ADDRESSES)
        self._jobs.append(await self._make_job(self._random.randint(1, 5), allowance=allowance(address)))

    async def _start(self) -> None:
        for claim in await pick(self._redis, self._random.randint(1, 4)):
            self._held.append(claim)
            if self._random.random() < 0.7:
                await submit(self._redis, claim)

    async def _end(self) -> None:
        await self._random.choice((finish, fail))(self._redis, self._claim())

    async def _try_again(self) -> None:
        await steps.try_again(self._redis, self._claim().task_id, self._claim().token, used_attempt=True)

    async def _cancel(self) -> None:
        await records.cancel(self._redis, self._job(), delete=self._random.random() < 0.5)

    async def _retry(self) -> None:
        address = self._random.choice(ADDRESSES)
        asked = allowance(address)
        await records.retry(self._redis, self._job(), None, None, low_priority=False, allowance=asked)

    async def _lose(self) -> None:
        claim = self._claim()
        await self._redis.delete(job_key(claim.task_id), in_progress_key(claim.task_id))
        await command(self._redis, "ZREM", key("leases", Queue.GENERATION), claim.task_id)
        for job in self._jobs:
            await reconciliation.repair(self._redis, job.job_id)
        assert await reconciliation.release_unused_addresses(self._redis) == 0

    async def _erase(self) -> None:
        job_id = self._job()
        if await job_reads.may_be_erased(self._redis, job_id):
            await records.erase(self._redis, job_id)


@pytest.mark.parametrize("seed", range(3))
async def test_number_is_that_of_the_images_after_any_history(
    redis: Redis, make_job: MakeJob, seed: int
) -> None:
    walk = Walk(redis, make_job, seed)
    for _ in range(STEPS):
        await walk.step()
        await walk.check()
    await walk.end()
    assert not await redis.exists(key("addresses"), key("origins"))


async def test_late_word_of_fal_on_a_failed_image_counts_for_no_address(
    redis: Redis, make_job: MakeJob
) -> None:
    await make_job(1, allowance=allowance(ADDRESSES[0]))
    (claim,) = await pick(redis)
    await take_permit(redis, claim)
    await steps.mark_posting(Replicas(redis), claim.task_id, claim.token)
    await fail(redis, claim)
    await make_job(1, allowance=allowance(ADDRESSES[0]))
    await steps.commit_submission(Replicas(redis), claim.task_id, claim.token, "a1", REQUEST)
    assert await counted(redis) == {ADDRESSES[0]: 1}
    for again in await pick(redis):
        await fail(redis, again)
    assert await counted(redis) == {}


async def test_image_that_the_store_has_lost_makes_room(redis: Redis, make_job: MakeJob) -> None:
    here = allowance(ADDRESSES[0])
    lost, kept = await make_job(3, allowance=here), await make_job(2, allowance=here)
    assert await reconciliation.release_unused_addresses(redis) == 0
    for image in lost.images:
        await redis.delete(key("image", image.image_id))
    assert await reconciliation.release_unused_addresses(redis) == 3
    assert await counted(redis) == {ADDRESSES[0]: 2}
    assert set(await _texts(redis, "origins")) == {image.image_id for image in kept.images}
