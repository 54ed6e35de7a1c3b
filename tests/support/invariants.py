"""What holds in a store after every step: sums of money, counts, and a place for every unfinished image.

Used by the test of random steps. It reads what the store holds, past our own functions.
"""

import json
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.domain import IMAGE_UNFINISHED, ImageStatus
from image2model.store import arq_keys
from image2model.store.keys import Queue, key

QUEUE: Final = arq_keys.queue_key(Queue.GENERATION)

Hash = dict[str, str]


class Sums(msgspec.Struct):
    """Over all images that exist."""

    unfinished: int = 0
    reserved: int = 0


async def read(redis: Redis, name: str) -> Hash:
    """A hash in texts, without what it keeps of earlier ends and editions."""
    found = (await redis.hgetall(name)).items()
    return {
        field.decode(): value.decode()
        for field, value in found
        if not field.startswith((b"completion:", b"edition:"))
    }


async def check(redis: Redis, owner: str, job_ids: list[str], booked: int) -> set[str]:
    """The owner's account, jobs, images and queue agree; returns the fences of the images that are held."""
    sums, fences = Sums(), set[str]()
    for job_id in job_ids:
        fences |= await _check_job(redis, job_id, sums)
    account = await read(redis, key("account", owner))
    held = await read(redis, key("held"))
    assert set(held) == {name.decode() for name in await redis.zrange(key("holds"), 0, -1)}
    reserved = sums.reserved + sum(json.loads(entry)[2] for entry in held.values())
    counted = [int(account.get(name) or 0) for name in ("unfinished", "reserved", "total_spent")]
    assert counted == [sums.unfinished, reserved, booked]
    return fences - {""}


async def _check_job(redis: Redis, job_id: str, sums: Sums) -> set[str]:
    job, cost, fences = await read(redis, key("job", job_id)), 0, set[str]()
    for image_id in job["image_ids"].split():
        image = await read(redis, key("image", image_id))
        sums.unfinished += image["status"] in IMAGE_UNFINISHED
        sums.reserved += int(image.get("reserved_micro") or 0)
        cost += int(image.get("cost_micro") or 0)
        fences.add(image.get("fence", ""))
        await _check_place(redis, image_id, image, image.get("phase_model") or job["model"])
    assert int(job.get("cost_micro") or 0) == cost
    return fences


async def _check_place(redis: Redis, image_id: str, image: Hash, model: str) -> None:
    score = await redis.zscore(QUEUE, image_id)
    leased = await redis.zscore(key("leases", Queue.GENERATION), image_id)
    if image["status"] not in IMAGE_UNFINISHED:
        permit = await redis.zscore(key("permits"), image_id)
        assert (score, leased, permit) == (None, None, None), (image_id, score, leased, permit)
        return
    assert score is not None
    assert (score == arq_keys.RUNNING) is (leased is not None)
    if score == arq_keys.AWAITING_REUSE:
        await _check_leader(redis, image_id, image["digest"])
    waits = await redis.zscore(key("confirmations"), image_id) is not None
    assert waits is (score == arq_keys.AWAITING_CONFIRMATION)
    if score == arq_keys.AWAITING_ENDPOINT:
        assert await redis.sismember(key("endpoints"), model)
        for name in ("endpoint_waiting", "endpoint_since"):
            assert await redis.zscore(key(name, model), image_id) is not None


async def _check_leader(redis: Redis, image_id: str, digest: str) -> None:
    """Who is waited for will end, and then lets go of this image."""
    assert await redis.sismember(key("reuse_waiting", digest), image_id)
    leader = await redis.get(key("reuse", digest))
    assert leader is not None
    image = await read(redis, key("image", leader.decode()))
    assert ImageStatus(image["status"]) in IMAGE_UNFINISHED
    assert image["digest"] == digest
