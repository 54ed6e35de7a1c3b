"""Reads of jobs, each in one round trip, so that they show one moment."""

from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.domain import Counts
from image2model.errors import NotFound
from image2model.store.connection import command
from image2model.store.keys import key
from image2model.store.records import JobSnapshot, image_row, job_row
from image2model.store.scripts import Script

_READ: Final = Script("store/read_job")

_snapshot = msgspec.msgpack.Decoder(
    tuple[int, str, bool, list[str], tuple[int, int, int, int, int, int, int, int], list[list[str]]]
)


async def read_job(redis: Redis, job_id: str, *, images: bool = True) -> JobSnapshot:
    """The job at one moment. Raises NotFound, also for a deleted one."""
    packed = await _READ(redis, job_id, "1" if images else "0")
    if packed is None:
        raise NotFound("There is no such job.")
    version, owner, deleted, job, counts, image_rows = _snapshot.decode(packed)
    if deleted:
        raise NotFound("There is no such job.")
    return JobSnapshot(
        job_id=job_id,
        version=version,
        owner=owner,
        deleted=deleted,
        job=job_row(job),
        counts=Counts(*counts),
        images=tuple(map(image_row, image_rows)),
    )


async def job_version(redis: Redis, job_id: str) -> int | None:
    """The job's version, or None if there is no such job, or it was deleted."""
    number, deleted = await command(redis, "HMGET", key("job", job_id), "version", "deleted")
    return int(number) if number is not None and deleted != b"1" else None


async def webhook_url(redis: Redis, job_id: str) -> str | None:
    """The job's webhook address; None if it has none, was deleted, or is gone."""
    url, deleted = await command(redis, "HMGET", key("job", job_id), "webhook_url", "deleted")
    return url.decode() if url and deleted != b"1" else None


async def active_jobs(redis: Redis, owner: str) -> list[str]:
    """Ids of the owner's unfinished jobs."""
    return sorted(job.decode() for job in await command(redis, "SMEMBERS", key("owner_active", owner)))


async def may_be_erased(redis: Redis, job_id: str) -> bool:
    """Whether the job was deleted and has ended, or its hash is gone already."""
    packed = await _READ(redis, job_id, "0")
    if packed is None:
        return True
    _, _, deleted, _, counts, _ = _snapshot.decode(packed)
    return deleted and not Counts(*counts).unfinished
