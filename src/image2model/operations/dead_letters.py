"""Dead letters: the images that have failed for good, with their attempts and history; and their replay.

The scripts that move images maintain the index; this module reads it. A replay is a new attempt that is paid
for, so replaying everything needs an explicit `all`.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from itertools import groupby
from typing import Final, NamedTuple

import msgspec
from redis.asyncio import Redis

from image2model.access import lookup
from image2model.domain import ImageError, ImageStatus
from image2model.errors import AlreadyFinished, InvalidParameter, NotFound
from image2model.events import history
from image2model.events.history import ImageChanged
from image2model.http.documents import ImageDocument, Moment, image_document, moment
from image2model.jobs import records
from image2model.store import job_reads
from image2model.store.connection import command
from image2model.store.keys import key
from image2model.store.records import ImageRow, JobSnapshot, image_row
from image2model.store.scripts import Script

_LIST: Final = Script("operations/list_dead")
_MAX_SCANNED: Final = 1000
"""Images that one call scans for its filter; the batch may then be short, and the next one continues."""
_error = msgspec.json.Decoder(ImageError)
_batch = msgspec.msgpack.Decoder(tuple[bool, int, str, list[tuple[int, str, str, str, str, list[str]]]])
DEFAULT_LISTED: Final = 20
MAX_LISTED: Final = 100
MAX_REPLAYED: Final = 1000
_position = msgspec.msgpack.Decoder(tuple[int, str])


class DeadFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which dead letters to list; an empty field matches all."""

    code: str = ""
    model: str = ""
    owner: str = ""


class ChangeDocument(msgspec.Struct, frozen=True):
    """One step of an image's history."""

    at: Moment
    status: ImageStatus
    attempt: int
    fal_request_id: str | None
    error: ImageError | None


class AttemptDocument(msgspec.Struct, frozen=True):
    """One attempt: FAL's request, its first and last change, and its result.

    `status` is the attempt's last status; `error` is null if it ended without an error.
    """

    attempt: int
    fal_request_id: str | None
    started_at: Moment
    ended_at: Moment
    status: ImageStatus
    error: ImageError | None


class DeadDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One dead letter with its attempts and its history."""

    image_id: str
    job_id: str
    owner: str
    model: str
    failed_at: Moment
    error: ImageError | None
    image: ImageDocument
    attempts: tuple[AttemptDocument, ...]
    history: tuple[ChangeDocument, ...]


class DeadPage(msgspec.Struct, frozen=True):
    """One page, newest first. It may be shorter than its limit; only a null `next_cursor` marks the end."""

    images: tuple[DeadDocument, ...]
    next_cursor: str | None


class ReplayRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which images to replay. Without a filter `all` is required, because each replay is paid for."""

    code: str = ""
    model: str = ""
    owner: str = ""
    all: bool = False
    limit: int = DEFAULT_LISTED


class Replayed(msgspec.Struct, frozen=True):
    """How many images run again, their jobs, and whether more images match."""

    replayed: int
    job_ids: tuple[str, ...]
    more: bool


class Position(NamedTuple):
    """The position of an image in the list: the time of its failure (ms since the epoch) and its id."""

    failed_at: int
    image_id: str


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One image that has failed. `failed_at` is ms since the epoch.

    `earlier_errors` are the errors of earlier attempts, by attempt number.
    """

    failed_at: int
    job_id: str
    owner: str
    model: str
    earlier_errors: dict[int, ImageError]
    image: ImageRow

    @property
    def position(self) -> Position:
        """Its position in the list."""
        return Position(self.failed_at, self.image.image_id)


class Batch(msgspec.Struct, frozen=True):
    """Some dead letters, and the position after which the next ones begin; None if there are no more."""

    letters: tuple[DeadLetter, ...]
    after: Position | None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of an image's status or attempt. `at` is ms since the epoch."""

    at: int
    status: ImageStatus
    attempt: int
    request_id: str | None
    error: ImageError | None


async def page(redis: Redis, filters: DeadFilter, limit: str | None, cursor: str | None) -> DeadPage:
    """One page with complete histories. Raises InvalidParameter, StoreOutage."""
    after = _after(cursor) if cursor else None
    found = await read_batch(redis, filters, after, _limit(limit))
    changes = await _changes(redis, found.letters)
    documents = (_document(letter, changes[letter.image.image_id]) for letter in found.letters)
    return DeadPage(tuple(documents), _cursor(found.after) if found.after else None)


async def replay(redis: Redis, image_id: str) -> JobSnapshot:
    """Run one image again; return its job. Raises NotFound, and AlreadyFinished if it has not failed."""
    found = await job_of(redis, image_id)
    if found is None:
        raise NotFound("There is no such image.")
    if not await _retry(redis, found[0], [image_id]):
        raise AlreadyFinished("This image has not failed, so there is nothing to replay.")
    return await job_reads.read_job(redis, found[0])


async def replay_many(redis: Redis, request: ReplayRequest) -> Replayed:
    """Run the matching images again, newest first, up to the limit. Raises InvalidParameter."""
    if not 1 <= request.limit <= MAX_REPLAYED:
        raise InvalidParameter(f"`limit` must be a whole number from 1 to {MAX_REPLAYED}.")
    filters = DeadFilter(code=request.code, model=request.model, owner=request.owner)
    if filters == DeadFilter() and not request.all:
        raise InvalidParameter(
            'Choose images by `code`, `model` or `owner`, or send `"all": true`. Each replay is paid for.'
        )
    letters, more = await _matching(redis, filters, request.limit)
    retried: dict[str, int] = {}
    for job_id, group in groupby(sorted(letters, key=_job_of), key=_job_of):
        retried[job_id] = await _retry(redis, job_id, [letter.image.image_id for letter in group])
    job_ids = tuple(job_id for job_id, count in retried.items() if count)
    return Replayed(sum(retried.values()), job_ids, more)


async def _matching(redis: Redis, filters: DeadFilter, limit: int) -> tuple[list[DeadLetter], bool]:
    letters: list[DeadLetter] = []
    after: Position | None = None
    while True:
        found = await read_batch(redis, filters, after, limit - len(letters))
        letters += found.letters
        after = found.after
        if after is None or len(letters) == limit:
            return letters, after is not None


async def _retry(redis: Redis, job_id: str, image_ids: list[str]) -> int:
    job = await lookup.read(redis, job_id)
    if job is None:
        return 0  # deleted meanwhile
    return len(await records.retry(redis, job_id, image_ids, None, low_priority=job.low_priority))


def _job_of(letter: DeadLetter) -> str:
    return letter.job_id


def _document(letter: DeadLetter, changes: tuple[Change, ...]) -> DeadDocument:
    return DeadDocument(
        image_id=letter.image.image_id,
        job_id=letter.job_id,
        owner=letter.owner,
        model=letter.model,
        failed_at=moment(letter.failed_at) or "",
        error=letter.image.error,
        image=image_document(letter.job_id, letter.image),
        attempts=tuple(
            _attempt(number, tuple(group), letter.earlier_errors.get(number))
            for number, group in groupby(changes, key=lambda one: one.attempt)
        ),
        history=tuple(
            ChangeDocument(moment(one.at) or "", one.status, one.attempt, one.request_id, one.error)
            for one in changes
        ),
    )


def _attempt(number: int, changes: tuple[Change, ...], earlier: ImageError | None) -> AttemptDocument:
    return AttemptDocument(
        attempt=number,
        fal_request_id=next((one.request_id for one in reversed(changes) if one.request_id), None),
        started_at=moment(changes[0].at) or "",
        ended_at=moment(changes[-1].at) or "",
        status=changes[-1].status,
        error=next((one.error for one in reversed(changes) if one.error), earlier),
    )


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LISTED
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MAX_LISTED):
        raise InvalidParameter(f"`limit` must be a whole number from 1 to {MAX_LISTED}.")
    return int(text)


def _cursor(position: Position) -> str:
    return urlsafe_b64encode(msgspec.msgpack.encode(tuple(position))).decode().rstrip("=")


def _after(cursor: str) -> Position:
    try:
        failed_at, image_id = _position.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise _bad_cursor() from None
    if not 0 <= failed_at < 2**53:
        raise _bad_cursor()
    return Position(failed_at, image_id)


def _bad_cursor() -> InvalidParameter:
    return InvalidParameter(
        "`cursor` must be the `next_cursor` of an earlier page. Leave it out to begin with the first."
    )


async def read_batch(redis: Redis, filters: DeadFilter, after: Position | None, limit: int) -> Batch:
    """Up to `limit` dead letters after a position (None: from the newest). Raises StoreOutage."""
    at, image_id = after or (False, "")
    packed = await _LIST.packed(
        redis, at, image_id, limit, _MAX_SCANNED, filters.code, filters.model, filters.owner
    )
    more, last_at, last_id, found = _batch.decode(packed)
    letters = tuple(
        DeadLetter(
            failed_at=at,
            job_id=job_id,
            owner=owner,
            model=model,
            earlier_errors=_earlier_errors(errors),
            image=image_row(row),
        )
        for at, job_id, owner, model, errors, row in found
    )
    return Batch(letters, Position(last_at, last_id) if more else None)


def _earlier_errors(lines: str) -> dict[int, ImageError]:
    """Decode what the script `try_again` has written: a line for each attempt, its number and its error."""
    errors = {}
    for line in filter(None, lines.split("\n")):
        number, _, error = line.partition(" ")
        errors[int(number)] = _error.decode(error)
    return errors


async def job_of(redis: Redis, image_id: str) -> tuple[str, str] | None:
    """The job and the owner of an image; None if there is no such image."""
    job_id, owner = await command(redis, "HMGET", key("image", image_id), "job_id", "owner")
    return (job_id.decode(), owner.decode()) if job_id and owner else None


async def _changes(redis: Redis, letters: tuple[DeadLetter, ...]) -> dict[str, tuple[Change, ...]]:
    changes: dict[str, tuple[Change, ...]] = {}
    for job_id in sorted(set(map(_job_of, letters))):
        ids = frozenset(letter.image.image_id for letter in letters if letter.job_id == job_id)
        changes |= await histories(redis, job_id, ids)
    return changes


async def histories(redis: Redis, job_id: str, image_ids: frozenset[str]) -> dict[str, tuple[Change, ...]]:
    """The changes of these images in the job's history, oldest first.

    Mere moves in FAL's queue are left out.
    """
    found: dict[str, list[Change]] = {image_id: [] for image_id in image_ids}
    for event in await history.of_job(redis, job_id, 0):
        body = event.body
        if isinstance(body, ImageChanged) and body.image.image_id in image_ids:
            _add(found[body.image.image_id], body)
    return {image_id: tuple(changes) for image_id, changes in found.items()}


def _add(changes: list[Change], body: ImageChanged) -> None:
    image = body.image
    if changes and (changes[-1].status, changes[-1].attempt) == (image.status, image.attempt):
        return
    changes.append(
        Change(
            at=body.at,
            status=image.status,
            attempt=image.attempt,
            request_id=image.request_id,
            error=image.error,
        )
    )
