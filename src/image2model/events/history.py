"""The history of events in the store's streams, and the notifications that announce new events.

The stream ids of a job are its versions, those of an owner are consecutive numbers, so a gap shows by
counting. The streams are the truth: a lost notification loses no event. What a stream keeps of an event is
completed from the rows by the scripts that read it (`event_body` in `events.lua`).
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.domain import Counts, WaitingFor
from image2model.store import records
from image2model.store.connection import command
from image2model.store.keys import key
from image2model.store.scripts import Script

_JOB_HISTORY: Final = Script("events/read_job_history")
_OWNER_HISTORY: Final = Script("events/read_owner_history")
_BATCH: Final = 500
_TEXT_HEADERS: Final = {0xD9: 2, 0xDA: 3, 0xDB: 5}
"""Length of a msgpack string's header by its first byte; 1 where that byte holds the length itself."""
_CountsRow = tuple[int, int, int, int, int, int, int, int]
_image = msgspec.msgpack.Decoder(tuple[int, str, _CountsRow, list[str]])
_complete = msgspec.msgpack.Decoder(tuple[int, list[str], list[list[str]]])


class ImageChanged(msgspec.Struct, frozen=True, kw_only=True):
    """One image as it was at one version of its job. `at` is ms since the epoch."""

    at: int
    waiting_for: WaitingFor | None
    counts: Counts
    image: records.ImageRow


class JobCompleted(msgspec.Struct, frozen=True, kw_only=True):
    """The whole job as it was when its last image became final."""

    at: int
    job: records.JobRow
    images: tuple[records.ImageRow, ...]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a job's stream."""

    job_id: str
    version: int
    body: ImageChanged | JobCompleted


class Notification(msgspec.Struct, frozen=True, array_like=True):
    """A pub/sub message: the event with its position in both streams. The kind `deleted` has no event.

    `data` is as Lua packs it: msgpack inside a msgpack string that is not valid UTF-8.
    """

    job_id: str
    version: int
    seq: int
    kind: str
    data: msgspec.Raw

    @property
    def event(self) -> Event:
        """The event that the notification announces."""
        packed = memoryview(self.data)
        return decode(self.job_id, self.version, self.kind, packed[_TEXT_HEADERS.get(packed[0], 1) :])


read_notification: Final = msgspec.msgpack.Decoder(Notification).decode
"""Decode a message of a notification channel. Raises msgspec.MsgspecError."""


def decode(job_id: str, version: int, kind: str, data: bytes | memoryview) -> Event:
    """Decode the `kind` and `data` of one stream entry."""
    if kind == "image":
        at, waiting, counts, row = _image.decode(data)
        body: ImageChanged | JobCompleted = ImageChanged(
            at=at,
            waiting_for=WaitingFor(waiting) if waiting else None,
            counts=Counts(*counts),
            image=records.image_row(row),
        )
    else:
        at, job, images = _complete.decode(data)
        body = JobCompleted(at=at, job=records.job_row(job), images=tuple(map(records.image_row, images)))
    return Event(job_id=job_id, version=version, body=body)


async def of_job(redis: Redis, job_id: str, after: int) -> list[Event]:
    """Every kept event of a job with a version above `after`, oldest first. Raises StoreOutage."""
    events: list[Event] = []
    while True:
        page = await page_of_job(redis, job_id, after, _BATCH)
        events += page
        if len(page) < _BATCH:
            return events
        after = page[-1].version


async def page_of_job(redis: Redis, job_id: str, after: int, limit: int) -> list[Event]:
    """At least the first `limit` kept events of a job with a version above `after`, oldest first.

    Some more where the last of them came together with others. Raises StoreOutage.
    """
    found = await _JOB_HISTORY.packed(redis, job_id, after, limit)
    return [decode(job_id, version, kind.decode(), body) for version, kind, body in found]


async def of_owner(
    redis: Redis, owner: str, after: int, limit: int = _BATCH
) -> list[tuple[int, Event | None]]:
    """At least the first `limit` events of all jobs of an owner after `after`, as (sequence number, event).

    The event is None if its job has been erased since. Raises StoreOutage.
    """
    found = await _OWNER_HISTORY.packed(redis, owner, after, limit)
    return [(seq, _owner_event(job_id.decode(), version, rest)) for seq, job_id, version, *rest in found]


def _owner_event(job_id: str, version: int, rest: Sequence[bytes]) -> Event | None:
    return decode(job_id, version, rest[0].decode(), rest[1]) if rest else None


async def event_of_owner(redis: Redis, owner: str, seq: int) -> tuple[str, int] | None:
    """The job and the time (ms since the epoch, 0 if its history has the event no more) of one event.

    None if the owner's history does not have the event. Raises StoreOutage.
    """
    found = await _OWNER_HISTORY.packed(redis, owner, seq - 1, 1)
    if not found or found[0][0] != seq:
        return None
    _, job_id, version, *rest = found[0]
    event = _owner_event(job_id.decode(), version, rest)
    return job_id.decode(), event.body.at if event else 0


async def bounds_of_job(redis: Redis, job_id: str) -> tuple[int, int]:
    """The first and the last version in a job's history; (0, 0) if it is empty.

    Of a settled job the history is its last event.
    """
    first, last = await _bounds(redis, key("job_events", job_id), _events_of_job)
    if last:
        return first, last
    settled = int(await command(redis, "HGET", key("job", job_id), "settled") or 0)
    return settled, settled


async def bounds_of_owner(redis: Redis, owner: str) -> tuple[int, int]:
    """The first and the last sequence number in an owner's history; (0, 0) if it is empty."""
    return await _bounds(redis, key("owner_events", owner), _events_of_owner)


async def latest(
    redis: Redis, job_ids: Sequence[str], owners: Sequence[str]
) -> tuple[list[int | None], list[int]]:
    """The latest positions of jobs (None: deleted or erased) and owners, in one round trip."""
    pipe = redis.pipeline(transaction=False)
    for job_id in job_ids:
        pipe.hmget(key("job", job_id), ["version", "deleted"])
    for owner in owners:
        pipe.xrevrange(key("owner_events", owner), count=1)
    replies = await pipe.execute() if job_ids or owners else []
    rows, last = replies[: len(job_ids)], replies[len(job_ids) :]
    versions = [int(number) if number and gone != b"1" else None for number, gone in rows]
    return versions, [_number(found[0][0]) if found else 0 for found in last]


async def _bounds(redis: Redis, stream: str, count: Callable[[bytes, bytes], int]) -> tuple[int, int]:
    """An entry's id is the number of its last event; `count` says how many it has."""
    pipe = redis.pipeline(transaction=True)
    pipe.xrange(stream, count=1)
    pipe.xrevrange(stream, count=1)
    first, last = await pipe.execute()
    if not first:
        return 0, 0
    entry_id, fields = first[0]
    name, value = next(iter(fields.items()))
    return _number(entry_id) - count(name, value) + 1, _number(last[0][0])


def _number(entry_id: bytes) -> int:
    """See `number_of` in `events.lua`; a job's ids have the second part 0."""
    first, _, second = entry_id.partition(b"-")
    return int(first) + int(second)


def _events_of_job(name: bytes, _: bytes) -> int:
    return int(name) if name.isdigit() else 1


def _events_of_owner(_: bytes, value: bytes) -> int:
    return int(value.partition(b":")[2] or 1)
