"""Heads of jobs: who may see a job, and in which version it is.

Who calls it: the use cases that take a job's id. Requests that come in crowds ask through `lookups`.
"""

from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.store.life import spoken_to
from image2model.store.script import Script

_READ: Final = Script("read_heads")
Row = tuple[str, str, str, str, str, str]
"""Version, owner, deleted, expires_at, priority, updated_at, as a script gives them."""


class JobState(msgspec.Struct, frozen=True):
    """What tells one state of a job from every other, also where the store has gone back to older data.

    `life` is the run id of the server that told it, `updated_at` (ms) when the version came to be: after a
    rollback the same version comes to be again, at another time.
    """

    life: str
    version: int
    updated_at: int


class JobHead(msgspec.Struct, frozen=True):
    """What decides whether a job may be seen. `expires_at` is ms since the epoch, 0: not ended."""

    state: JobState
    owner: str
    expires_at: int
    low_priority: bool


_heads = msgspec.msgpack.Decoder(list[Row])


async def read(redis: Redis, job_id: str) -> JobHead | None:
    """One job's head; None where there is no such job (deleted ones included)."""
    (row,) = _heads.decode(await _READ.packed(redis, [job_id]))
    return head_of(row, spoken_to())


def head_of(row: Row, life: str) -> JobHead | None:
    """A script's row as a head, told in this `life`; None where there is no such job, or it was deleted."""
    version, owner, deleted, expires_at, priority, updated_at = row
    if not version or deleted == "1":
        return None
    state = JobState(life, int(version), int(updated_at or 0))
    return JobHead(state, owner, int(expires_at or 0), priority == "low")
