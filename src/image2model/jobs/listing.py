"""An owner's jobs, or everybody's, newest first, from a place on: the place is a job, so what is new does not
shift it.

Who calls it: the use cases of the job lists. One stretch is one round trip.
"""

import binascii
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, NamedTuple

import msgspec
from redis.asyncio import Redis

from image2model.access.lookup import is_job_id
from image2model.domain import Counts, JobStatus
from image2model.errors import InvalidParameter
from image2model.http import documents
from image2model.store import records
from image2model.store.records import JobSnapshot
from image2model.store.scripts import Script

_LIST: Final = Script("jobs/list_jobs")
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
    job: records.JobSnapshot | None


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
    snapshot = records.JobSnapshot(
        job_id=job_id,
        version=version,
        owner=owner,
        deleted=False,
        job=records.job_row(job),
        counts=Counts(*counts),
        images=(),
    )
    return Listed(Place(created_at, job_id), snapshot)


DEFAULT_LIMIT: Final = 20
MOST: Final = 100
_STRETCH: Final = 200
_MOST_LOOKED_AT: Final = 2000
"""Jobs that one page looks at for its filter; a page may then be short, and its cursor goes on."""

_place = msgspec.msgpack.Decoder(tuple[int, str])


class JobPage(msgspec.Struct, frozen=True):
    """One page. `next_cursor` is null where no more follow."""

    jobs: tuple[documents.JobHead, ...]
    next_cursor: str | None


class OwnedJob(documents.JobHead, frozen=True, kw_only=True):
    """A job as an admin sees it."""

    owner: str


class OwnedJobPage(msgspec.Struct, frozen=True):
    """One page of everybody's jobs. `next_cursor` is null where no more follow."""

    jobs: tuple[OwnedJob, ...]
    next_cursor: str | None


class Question(msgspec.Struct, frozen=True):
    """What is asked for. `statuses` is empty for all."""

    statuses: frozenset[JobStatus] = frozenset()
    limit: int = DEFAULT_LIMIT
    after: Place | None = None


def question(status: str | None, limit: str | None, cursor: str | None) -> Question:
    """Read a query. `status` is one status, or several with commas. Raises InvalidParameter."""
    return Question(_statuses(status), _limit(limit), _after(cursor) if cursor else None)


async def page(redis: Redis, owner: str, asked: Question) -> JobPage:
    """The page that was asked for; jobs that have expired are not in it."""
    found, after = await _found(redis, owner, asked)
    return JobPage(tuple(map(documents.job_head, found)), _cursor(after) if after else None)


async def page_of_all(redis: Redis, asked: Question) -> OwnedJobPage:
    """The same of everybody's jobs."""
    found, after = await _found(redis, None, asked)
    return OwnedJobPage(tuple(map(_owned, found)), _cursor(after) if after else None)


def _owned(job: JobSnapshot) -> OwnedJob:
    return OwnedJob(owner=job.owner, **msgspec.structs.asdict(documents.job_head(job)))


async def _found(redis: Redis, owner: str | None, asked: Question) -> tuple[list[JobSnapshot], Place | None]:
    """The jobs of a page, and the place after which the next one begins."""
    found: list[Listed] = []
    after, looked_at = asked.after, 0
    size = _STRETCH if asked.statuses else asked.limit + 1
    while looked_at < _MOST_LOOKED_AT:
        listed = await stretch(redis, owner, after, size)
        found += [one for one in listed if _is_wanted(one, asked.statuses)]
        if len(found) > asked.limit:
            return _jobs(found[: asked.limit]), found[asked.limit - 1].place
        if len(listed) < size:
            return _jobs(found), None
        looked_at += len(listed)
        after = listed[-1].place
    return _jobs(found), after


def _jobs(found: list[Listed]) -> list[JobSnapshot]:
    return [one.job for one in found if one.job is not None]


def _is_wanted(one: Listed, statuses: frozenset[JobStatus]) -> bool:
    if one.job is None:
        return False
    ends = one.job.job.expires_at
    if ends is not None and ends <= time.time() * 1000:
        return False
    return not statuses or one.job.counts.status in statuses


def _statuses(text: str | None) -> frozenset[JobStatus]:
    names = [name.strip() for name in text.split(",")] if text else []
    try:
        return frozenset(map(JobStatus, names))
    except ValueError:
        known = ", ".join(status.value for status in JobStatus)
        raise InvalidParameter(f"`status` must be of {known}, not {str(text)[:64]!r}.") from None


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MOST):
        raise InvalidParameter(f"`limit` must be a whole number from 1 to {MOST}, not {text[:32]!r}.")
    return int(text)


def _cursor(place: Place) -> str:
    return urlsafe_b64encode(msgspec.msgpack.encode(tuple(place))).decode().rstrip("=")


def _after(cursor: str) -> Place:
    try:
        place = Place(*_place.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))))
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise _bad_cursor() from None
    if not is_job_id(place.job_id) or not 0 <= place.created_at < 2**53:
        raise _bad_cursor()
    return place


def _bad_cursor() -> InvalidParameter:
    return InvalidParameter("`cursor` must be the `next_cursor` of an earlier page; leave it out to begin.")
