"""Heads of jobs: who may see a job, and in which version it is.

Who calls it: the use cases that take a job's id. Requests that come in crowds ask through `lookups`.
"""

from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.store.script import Script

_READ: Final = Script("read_heads")
Row = tuple[str, str, str, str, str]
"""Version, owner, deleted, expires_at, priority, as a script gives them."""


class JobHead(msgspec.Struct, frozen=True):
    """What decides whether a job may be seen. `expires_at` is ms since the epoch, 0: not ended."""

    version: int
    owner: str
    expires_at: int
    low_priority: bool


_heads = msgspec.msgpack.Decoder(list[Row])


async def read(redis: Redis, job_id: str) -> JobHead | None:
    """One job's head; None where there is no such job (deleted ones included)."""
    return head_of(_heads.decode(await _READ.packed(redis, [job_id]))[0])


def head_of(row: Row) -> JobHead | None:
    """A script's row as a head; None where there is no such job, or it was deleted."""
    version, owner, deleted, expires_at, priority = row
    if not version or deleted == "1":
        return None
    return JobHead(int(version), owner, int(expires_at or 0), priority == "low")
