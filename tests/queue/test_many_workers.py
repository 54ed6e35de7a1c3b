"""What must not grow with the number of workers: notifications, reasons to wait, what one piles up."""

import uuid

import msgspec
from redis.asyncio import Redis

from image2model.domain import WaitingFor
from image2model.jobs import records
from image2model.queue import circuits, reconciliation
from image2model.store import job_reads
from image2model.store.identity import negotiate
from image2model.store.keys import Queue, key
from tests.support.fixtures import MakeJob
from tests.support.jobs import take_permit
from tests.support.leases import pick

END = b"the end"


async def test_batch_notifies_once_however_many_images_it_has(redis: Redis, make_job: MakeJob) -> None:
    async with redis.pubsub(ignore_subscribe_messages=True) as ears:
        ready = (await negotiate(redis)).identity.own_channels.ready
        await ears.subscribe(ready)
        await make_job(25)
        await redis.execute_command("PUBLISH", ready, END)
        heard = []
        async for message in ears.listen():
            heard.append(message["data"])
            if message["data"] == END:
                break
    assert heard == [Queue.GENERATION.value.encode(), END]


async def test_each_worker_prepares_its_own_share_ahead(redis: Redis, make_job: MakeJob) -> None:
    await make_job(25)
    limits = {"max_permits": 4, "look_ahead": 6, "own_look_ahead": 2}
    for claim in await pick(redis, "w1", free=4, **limits):
        await take_permit(redis, claim)
    assert len(await pick(redis, "w1", free=0, **limits)) == 2
    assert await pick(redis, "w1", free=-2, **limits) == []
    assert len(await pick(redis, "w2", free=4, **limits)) == 4
    assert await pick(redis, "w3", free=4, **limits) == []


async def test_why_jobs_wait_is_worked_out_once_for_the_fleet(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1)
    assert await reconciliation.refresh_waiting(redis, max_permits=1) == 0
    await circuits.pause_queue(redis, Queue.GENERATION)
    assert await reconciliation.refresh_waiting(redis, max_permits=1) == 0
    await redis.delete(key("waiting_told"))
    assert await reconciliation.refresh_waiting(redis, max_permits=1) == 1
    assert (await job_reads.read_job(redis, job.job_id)).job.waiting_for is WaitingFor.PAUSED


async def test_same_pictures_that_wait_for_one_run_keep_nobody_back(redis: Redis, make_job: MakeJob) -> None:
    template = await make_job(1)
    same = [
        msgspec.structs.replace(template.images[0], image_id=uuid.uuid4().hex, digest="same")
        for _ in range(50)
    ]
    await records.create(
        redis, msgspec.structs.replace(template, job_id=uuid.uuid4().hex, images=tuple(same))
    )
    await make_job(3)
    assert len(await pick(redis, free=2)) == 2  # the template, and the first of the same pictures
    assert await pick(redis, free=3)
