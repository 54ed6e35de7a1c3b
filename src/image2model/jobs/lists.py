"""The entries of a job in the lists by which it is found: its owner's, and the index by metadata.

They lie in the home cell, the job does not. An entry is removed after its job is marked as deleted or has
expired, and before the last trace of the job goes; so whatever removes a job can do it again after a crash.
An entry is there before its job. Readers skip those without one.
"""

from typing import Final

from redis.asyncio import Redis

from image2model.store.connection import command
from image2model.store.keys import METADATA_TOKEN_DIGITS, key
from image2model.store.scripts import Script

_UNLIST: Final = Script("jobs/unlist_job")
_TIME_DIGITS: Final = 13


async def unlist(redis: Redis, job_id: str) -> None:
    """Take a job out of its owner's lists, if it still exists. Raises StoreOutage."""
    owner, created_at, tokens = await command(
        redis, "HMGET", key("job", job_id), "owner", "created_at", "metadata_tokens"
    )
    if owner is None:
        return
    await _UNLIST.packed(redis, owner.decode(), job_id, (tokens or b"").decode().split(), int(created_at))
    await command(redis, "HDEL", key("job", job_id), "metadata_tokens")


def read_entry(entry: str) -> tuple[int, str]:
    """When an entry of the index was made, ms since the epoch, and its job: they follow its token."""
    text = entry[METADATA_TOKEN_DIGITS:]
    return int(text[:_TIME_DIGITS]), text[_TIME_DIGITS:]
