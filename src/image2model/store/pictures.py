"""Where an uploaded picture lies. Who calls it: whoever shows it: thumbnails."""

from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.store.connection import command
from image2model.store.keys import key

_FIELDS: Final = ("job_id", "source_key", "sha256")


class SourcePicture(msgspec.Struct, frozen=True, kw_only=True):
    """One picture of a job as it was uploaded."""

    job_id: str
    image_id: str
    source_key: str
    sha256: str


async def source_of(redis: Redis, job_id: str, image_id: str) -> SourcePicture | None:
    """The picture; None where this job has no such image."""
    values = await command(redis, "HMGET", key("image", image_id), *_FIELDS)
    owner, source, sha256 = ("" if value is None else value.decode() for value in values)
    if owner != job_id:
        return None
    return SourcePicture(job_id=job_id, image_id=image_id, source_key=source, sha256=sha256)
