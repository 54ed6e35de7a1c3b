"""An owner's jobs, or everybody's, newest first, from a place on: the place is a job, so what is new does not
shift it.

Who calls it: the use cases of the job lists. One stretch is one round trip.
"""

from typing import Final, NamedTuple

import msgspec
from redis.asyncio import Redis

from image2model.domain import Counts
from image2model.store import rows
from image2model.store.script import Script

_LIST: Final = Script("list_jobs")
_Eight = tuple[int, int, int, int, int, int, int, int]
_GONE: Final = 0x93
"""The first byte of a row of three: of a job whose hash is gone."""
_stretch = msgspec.msgpack.Decoder(list[msgspec.Raw])
_gone = msgspec.msgpack.Decoder(tuple[str, int, str])
_full = msgspec.msgpack.Decoder(tuple[str, int, str, int, list[str], _Eight])


class Place(NamedTuple):
    """Where a job stands in the list: when it was made, ms since the epoch, and its id."""

    created_at: int
    job_id: str


class Listed(NamedTuple):
    """One job of the list; None where its hash is gone and only its place is left."""

    place: Place
    job: rows.JobSnapshot | None


async def stretch(redis: Redis, owner: str | None, after: Place | None, limit: int) -> list[Listed]:
    """Up to `limit` jobs of an owner (None: of everybody) after a place (None: from the newest).

    Fewer: there are no more.
    """
    score, job_id = (after.created_at, after.job_id) if after else (False, "")
    packed = await _LIST.packed(redis, owner or "", score, job_id, limit)
    return [_listed(row) for row in _stretch.decode(packed)] if packed else []


def _listed(row: msgspec.Raw) -> Listed:
    packed = bytes(row)
    if packed[0] == _GONE:
        job_id, created_at, _ = _gone.decode(packed)
        return Listed(Place(created_at, job_id), None)
    job_id, created_at, owner, version, job, counts = _full.decode(packed)
    snapshot = rows.JobSnapshot(
        job_id=job_id,
        version=version,
        owner=owner,
        deleted=False,
        job=rows.job_row(job),
        counts=Counts(*counts),
        images=(),
    )
    return Listed(Place(created_at, job_id), snapshot)
