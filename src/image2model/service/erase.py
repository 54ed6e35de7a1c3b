"""Erasing a job: first its files, then its keys, so that nothing is left without an owner.

Who calls it: the worker once a deleted job has ended, and the reconciler for what was missed.
"""

from redis.asyncio import Redis

from image2model.storage import layout
from image2model.storage.objects import ObjectStorage
from image2model.store import job_reads, jobs


async def erase_if_deleted(redis: Redis, storage: ObjectStorage, job_id: str) -> bool:
    """Erase the job if it was deleted and all of it has ended; whether it was.

    Raises StoreOutage and StorageError: then nothing is lost, the next call goes on.
    """
    if not await job_reads.may_be_erased(redis, job_id):
        return False
    for prefix in layout.job_prefixes(job_id):
        await storage.delete_prefix(prefix)
    await jobs.erase(redis, job_id)
    return True
