"""Which jobs a caller may see: what it does not own does not exist.

Who calls it: every use case and route that takes a job's id.
"""

import re
import time
from typing import Final

from redis.asyncio import Redis

from image2model.errors import Expired, NotFound
from image2model.store import jobs
from image2model.store.rows import JobSnapshot

_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


async def access(redis: Redis, owner: str, job_id: str) -> jobs.JobAccess:
    """The job's head, in one round trip. Raises NotFound, and Expired once its life is over."""
    found = await jobs.access(redis, job_id) if _ID.fullmatch(job_id) else None
    if found is None or found.owner != owner:
        raise NotFound("There is no such job.")
    if found.expires_at and found.expires_at <= time.time() * 1000:
        raise Expired("This job has expired, and its files with it.")
    return found


async def snapshot(redis: Redis, owner: str, job_id: str) -> JobSnapshot:
    """The whole job. Raises NotFound, Expired."""
    await access(redis, owner, job_id)
    return await jobs.read(redis, job_id)
