"""Lists of jobs, newest first: an owner's, or everybody's for admins.

A cursor is the position of a job, so jobs that are made meanwhile do not shift the next page. A page examines
a bounded number of jobs. A slice of them takes two round trips: to the list, and to the jobs.
"""

import binascii
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, NamedTuple

import msgspec
from redis.asyncio import Redis
from starlette.datastructures import QueryParams

from image2model.access.lookup import is_job_id
from image2model.domain import Counts, JobStatus
from image2model.errors import InvalidParameter
from image2model.http import documents
from image2model.jobs.metadata import comparison_token, read_filters
from image2model.store.records import JobSnapshot, job_row
from image2model.store.scripts import Script

COMPARISON: Final = "comparison"
DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100
_SLICE: Final = 200
_MAX_EXAMINED: Final = 2000
"""Jobs that one page examines for its filter. The page may then be short; its cursor goes on behind them."""
_LIST: Final = Script("jobs/list_jobs")
_READ: Final = Script("jobs/read_listed")


class Position(NamedTuple):
    """A job's position in the list: when it was made, ms since the epoch, and its id."""

    created_at: int
    job_id: str


class Query(msgspec.Struct, frozen=True):
    """Which page. `statuses` is empty for all, `after` None for the first page.

    `tokens`: only jobs that have all of these pairs of key and value in their metadata or their images', and
    are of this comparison.
    """

    statuses: frozenset[JobStatus] = frozenset()
    limit: int = DEFAULT_LIMIT
    after: Position | None = None
    tokens: tuple[str, ...] = ()


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


def read_query(given: QueryParams) -> Query:
    """Read a request's parameters. `status` is one, or several with commas. Raises InvalidParameter."""
    cursor = given.get("cursor")
    return Query(
        statuses=_read_statuses(given.get("status")),
        limit=_read_limit(given.get("limit")),
        after=_read_cursor(cursor) if cursor else None,
        tokens=(*_read_comparison(given.get(COMPARISON)), *read_filters(given.multi_items())),
    )


async def page(redis: Redis, owner: str, query: Query) -> JobPage:
    """A page of the owner's jobs; jobs that have expired are not in it."""
    jobs, last = await _find(redis, owner, query)
    return JobPage(tuple(map(documents.job_head, jobs)), _cursor(last) if last else None)


async def page_of_all(redis: Redis, query: Query) -> OwnedJobPage:
    """The same of everybody's jobs."""
    jobs, last = await _find(redis, None, query)
    return OwnedJobPage(tuple(map(_owned, jobs)), _cursor(last) if last else None)


def _owned(job: JobSnapshot) -> OwnedJob:
    return OwnedJob(owner=job.owner, **msgspec.structs.asdict(documents.job_head(job)))


async def _find(redis: Redis, owner: str | None, query: Query) -> tuple[list[JobSnapshot], Position | None]:
    """The jobs of a page, and the position after which the next page begins."""
    found: list[_Entry] = []
    after, examined = query.after, 0
    size = _SLICE if query.statuses or len(query.tokens) > 1 else query.limit + 1
    while examined < _MAX_EXAMINED:
        entries = await _read_slice(redis, owner, query.tokens, after, size)
        found += [entry for entry in entries if _matches(entry, query.statuses)]
        if len(found) > query.limit:
            return _jobs(found[: query.limit]), found[query.limit - 1].position
        if len(entries) < size:
            return _jobs(found), None
        examined += len(entries)
        after = entries[-1].position
    return _jobs(found), after


class _Entry(NamedTuple):
    """One job of the list. `job` is None where it has not all tokens, or only its position is left."""

    position: Position
    job: JobSnapshot | None


def _jobs(entries: list[_Entry]) -> list[JobSnapshot]:
    return [entry.job for entry in entries if entry.job is not None]


def _matches(entry: _Entry, statuses: frozenset[JobStatus]) -> bool:
    if entry.job is None:
        return False
    expires_at = entry.job.job.expires_at
    if expires_at is not None and expires_at <= time.time() * 1000:
        return False
    return not statuses or entry.job.counts.status in statuses


_Eight = tuple[int, int, int, int, int, int, int, int]
_slice: Final = msgspec.msgpack.Decoder(list[tuple[str, int, bool]])
_rows: Final = msgspec.msgpack.Decoder(list[tuple[int, str, list[str], _Eight] | bool])


async def _read_slice(
    redis: Redis, owner: str | None, tokens: tuple[str, ...], after: Position | None, limit: int
) -> list[_Entry]:
    """Up to `limit` jobs of an owner (None: of everybody) after a position (None: from the newest).

    A shorter slice is the last one.
    """
    score, job_id = (after.created_at, after.job_id) if after else (False, "")
    listed = _slice.decode(await _LIST.packed(redis, owner or "", score, job_id, limit, tokens))
    found = [one for one, _, has_all in listed if has_all]
    rows = _rows.decode(await _READ.packed(redis, found)) if found else []
    jobs = {one: _job(one, row) for one, row in zip(found, rows, strict=True) if not isinstance(row, bool)}
    return [_Entry(Position(created_at, one), jobs.get(one)) for one, created_at, _ in listed]


def _job(job_id: str, row: tuple[int, str, list[str], _Eight]) -> JobSnapshot:
    version, owner, job, counts = row
    return JobSnapshot(
        job_id=job_id,
        version=version,
        owner=owner,
        deleted=False,
        job=job_row(job),
        counts=Counts(*counts),
        images=(),
    )


def _read_statuses(text: str | None) -> frozenset[JobStatus]:
    names = [name.strip() for name in text.split(",")] if text else []
    try:
        return frozenset(map(JobStatus, names))
    except ValueError:
        known = ", ".join(status.value for status in JobStatus)
        raise InvalidParameter(f"`status` must be of {known}, not {str(text)[:64]!r}.") from None


def _read_comparison(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    if not is_job_id(text):
        raise InvalidParameter(f"`{COMPARISON}` must be a `comparison_id`, not {text[:64]!r}.")
    return (comparison_token(text),)


def _read_limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MAX_LIMIT):
        raise InvalidParameter(f"`limit` must be a whole number from 1 to {MAX_LIMIT}, not {text[:32]!r}.")
    return int(text)


_position: Final = msgspec.msgpack.Decoder(tuple[int, str])


def _cursor(position: Position) -> str:
    return urlsafe_b64encode(msgspec.msgpack.encode(tuple(position))).decode().rstrip("=")


def _read_cursor(cursor: str) -> Position:
    try:
        position = Position(*_position.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))))
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise _bad_cursor() from None
    if not is_job_id(position.job_id) or not 0 <= position.created_at < 2**53:
        raise _bad_cursor()
    return position


def _bad_cursor() -> InvalidParameter:
    return InvalidParameter("`cursor` must be the `next_cursor` of an earlier page; leave it out to begin.")
