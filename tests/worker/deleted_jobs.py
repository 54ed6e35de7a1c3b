"""Which jobs a store has, and whether all of them were ended by a client's `DELETE` or by the API.

Who calls it: tests of batches that nobody heard of.
"""

from redis.asyncio import Redis

from image2model.store.keys import key


async def job_ids(redis: Redis) -> set[str]:
    """The ids of all jobs."""
    names = [name.decode() for name in await redis.keys(key("job", "*"))]
    return {name.removeprefix(key("job", "")).partition(":")[0] for name in names}


async def are_deleted(redis: Redis) -> bool:
    """Whether every job is deleted and waits no more; true where there is none.

    Until then a worker may begin to buy what nobody heard of: the API looks for it twice a second.
    """
    jobs = [await redis.hgetall(key("job", job_id)) for job_id in await job_ids(redis)]
    return all(job.get(b"deleted") and not int(job[b"n_queued"]) for job in jobs)
