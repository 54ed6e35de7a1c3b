"""Which jobs a caller may see: what it does not own does not exist.

Who calls it: every use case and route that takes a job's id.
"""

import re
import time
from typing import Final

from redis.asyncio import Redis

from image2model.errors import Expired, NotFound
from image2model.store import heads, job_reads
from image2model.store.heads import JobHead
from image2model.store.rows import JobSnapshot

_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


def is_job_id(text: str) -> bool:
    """Whether a job could have this id; any other text is not worth a round trip."""
    return _ID.fullmatch(text) is not None


def visible(head: JobHead | None, owner: str) -> JobHead:
    """The head itself. Raises NotFound for another owner's, and Expired once the job's life is over."""
    if head is None or head.owner != owner:
        raise NotFound("There is no such job.")
    if head.expires_at and head.expires_at <= time.time() * 1000:
        raise Expired("This job has expired, and its files with it.")
    return head


async def access(redis: Redis, owner: str, job_id: str) -> JobHead:
    """The job's head, in one round trip. Raises NotFound, Expired."""
    return visible(await heads.read(redis, job_id) if is_job_id(job_id) else None, owner)


async def snapshot(redis: Redis, owner: str, job_id: str) -> JobSnapshot:
    """The whole job. Raises NotFound, Expired."""
    await access(redis, owner, job_id)
    return await job_reads.read_job(redis, job_id)
