"""What keeps the store true: repairs, reasons for waiting, tasks of the house.

Who calls it: the worker's maintenance. Everything here may run twice or on several workers at once.
"""

from typing import Final

from redis.asyncio import Redis

from image2model.store.connection import command
from image2model.store.keys import FLEET_TTL_MS, TTLS, Queue, Ttl, key
from image2model.store.scripts import Script

_ENQUEUE: Final = Script("queue/enqueue_once")
_WAITING: Final = Script("queue/refresh_waiting")
_REPAIR: Final = Script("queue/repair_job")
_UNUSED_PERMITS: Final = Script("queue/release_unused_permits")
_ADDRESSES: Final = Script("queue/release_unused_addresses")
_PAGE: Final = 500
_MOST_JOBS: Final = 1000
_TELL_MS: Final = 400


async def enqueue_once(
    redis: Redis, queue: Queue, task_id: str, function: str, argument: str, *, due_ms: int = 0
) -> bool:
    """Queue a task unless it waits or runs already. `due_ms`: not before then, ms since the epoch."""
    return bool(await _ENQUEUE.packed(redis, queue.value, task_id, function, argument, due_ms))


async def refresh_waiting(redis: Redis, *, max_permits: int) -> int:
    """Write into each job why nothing of it moves; returns how many jobs changed.

    Once in `_TELL_MS` for the whole fleet: whoever asks again by then finds it done.
    """
    return int(await _WAITING.packed(redis, max_permits, _MOST_JOBS, _TELL_MS))


async def unfinished_jobs(redis: Redis) -> list[str]:
    """Ids of all unfinished jobs, oldest first."""
    return [job.decode() for job in await command(redis, "ZRANGE", key("unfinished"), 0, -1)]


async def deleted_jobs(redis: Redis) -> list[str]:
    """Ids of jobs that were deleted and whose traces are still there."""
    return [job.decode() for job in await command(redis, "ZRANGE", key("deleted"), 0, -1)]


async def repair(redis: Redis, job_id: str) -> int:
    """Compare a job with the queue, mend either, renew its keys; returns how much was mended."""
    return int(await _REPAIR(redis, job_id))


async def release_unused_permits(redis: Redis) -> int:
    """Free permits and places ahead whose image needs none any more; returns how many."""
    return int(await _UNUSED_PERMITS(redis))


async def release_unused_addresses(redis: Redis) -> int:
    """Images that are final or gone count for their address no longer; returns how many did."""
    freed, page = 0, list[str]()
    async for image_id, _ in redis.hscan_iter(key("origins"), count=_PAGE):
        page.append(image_id.decode())
        if len(page) == _PAGE:
            freed += int(await _ADDRESSES.packed(redis, *page))
            page = []
    return freed + (int(await _ADDRESSES.packed(redis, *page)) if page else 0)


async def renew_ttls(redis: Redis) -> None:
    """Renew the keys that live as long as the fleet, an open circuit or their owner does."""
    pipe = redis.pipeline(transaction=False)
    for name, (template, ttl) in TTLS.items():
        if ttl is Ttl.FLEET:
            for ids in [(queue.value,) for queue in Queue] if "{}" in template else [()]:
                pipe.pexpire(key(name, *ids), FLEET_TTL_MS)
    for model in await command(redis, "SMEMBERS", key("endpoints")):
        for name, (_, ttl) in TTLS.items():
            if ttl is Ttl.ENDPOINT:
                pipe.pexpire(key(name, model.decode()), FLEET_TTL_MS)
    for owner in await command(redis, "SMEMBERS", key("owners")):
        for name, (_, ttl) in TTLS.items():
            if ttl is Ttl.OWNER:
                pipe.pexpire(key(name, owner.decode()), FLEET_TTL_MS)
    await pipe.execute()
