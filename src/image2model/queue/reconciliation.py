"""Repairs that keep hashes, queues and counters consistent, and the maintenance tasks that run them.

Everything here may run twice, or on several workers at once.
"""

from typing import Final

from redis.asyncio import Redis

from image2model.queue.window import UNLIMITED, FalConcurrency
from image2model.store.connection import command
from image2model.store.keys import FLEET_TTL_MS, KEYS, Queue, Ttl, key
from image2model.store.scripts import Script

_ENQUEUE: Final = Script("queue/enqueue_once")
_WAITING: Final = Script("queue/refresh_waiting")
_REPAIR: Final = Script("queue/repair_job")
_UNUSED_PERMITS: Final = Script("queue/release_unused_permits")
_ADDRESSES: Final = Script("queue/release_unused_addresses")
_PAGE: Final = 500
_MAX_JOBS: Final = 1000
_REFRESH_MS: Final = 400


async def enqueue_once(
    redis: Redis, queue: Queue, task_id: str, function: str, argument: str, *, due_ms: int = 0
) -> bool:
    """Queue a task unless it is waiting or running. `due_ms`: not before this time, ms since the epoch."""
    return bool(await _ENQUEUE.packed(redis, queue.value, task_id, function, argument, due_ms))


async def refresh_waiting(redis: Redis, *, max_permits: int, concurrency: FalConcurrency = UNLIMITED) -> int:
    """Write into each job in which nothing moves why it waits; returns how many jobs changed.

    At most once in `_REFRESH_MS` for the whole fleet; a call before then changes nothing.
    """
    return int(await _WAITING.packed(redis, max_permits, concurrency, _MAX_JOBS, _REFRESH_MS))


async def unfinished_jobs(redis: Redis) -> list[str]:
    """Ids of all unfinished jobs, oldest first."""
    return [job.decode() for job in await command(redis, "ZRANGE", key("unfinished"), 0, -1)]


async def deleted_jobs(redis: Redis) -> list[str]:
    """Ids of deleted jobs that are not erased yet."""
    return [job.decode() for job in await command(redis, "ZRANGE", key("deleted"), 0, -1)]


async def repair(redis: Redis, job_id: str) -> int:
    """Compare a job with the queue, repair both, renew its keys' TTLs; returns how many repairs were made."""
    return int(await _REPAIR(redis, job_id))


async def release_unused_permits(redis: Redis) -> int:
    """Free the permits and look-ahead entries of images that need none any more; returns how many."""
    return int(await _UNUSED_PERMITS(redis))


async def release_unused_addresses(redis: Redis) -> int:
    """Stop counting images that are final or gone for their address; returns how many were counted."""
    freed, page = 0, list[str]()
    async for image_id, _ in redis.hscan_iter(key("origins"), count=_PAGE):
        page.append(image_id.decode())
        if len(page) == _PAGE:
            freed += int(await _ADDRESSES.packed(redis, *page))
            page = []
    return freed + (int(await _ADDRESSES.packed(redis, *page)) if page else 0)


async def renew_ttls(redis: Redis) -> None:
    """Renew the TTLs of the keys of the fleet, of open circuits and of owners."""
    pipe = redis.pipeline(transaction=False)
    for name, (template, ttl, _) in KEYS.items():
        if ttl is Ttl.FLEET:
            for ids in [(queue.value,) for queue in Queue] if "{}" in template else [()]:
                pipe.pexpire(key(name, *ids), FLEET_TTL_MS)
    for model in await command(redis, "SMEMBERS", key("endpoints")):
        for name, (_, ttl, _) in KEYS.items():
            if ttl is Ttl.ENDPOINT:
                pipe.pexpire(key(name, model.decode()), FLEET_TTL_MS)
    for owner in await command(redis, "SMEMBERS", key("owners")):
        for name, (_, ttl, _) in KEYS.items():
            if ttl is Ttl.OWNER:
                pipe.pexpire(key(name, owner.decode()), FLEET_TTL_MS)
    await pipe.execute()
