"""Dead letters: the images that have failed for good, newest first, and what happened to each.

Who calls it: the admin's use cases. The index is kept by the scripts that move images; here it is read.
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
from image2model.store import records as store_records
from image2model.store.connection import command
from image2model.store.keys import key
from image2model.store.records import JobSnapshot
from image2model.store.scripts import Script

_LIST: Final = Script("operations/list_dead")
_MOST_LOOKED_AT: Final = 1000
"""Images that one call looks at for its filter; its stretch may then be short, and its end goes on."""

_error = msgspec.json.Decoder(ImageError)
_stretch = msgspec.msgpack.Decoder(tuple[bool, int, str, list[tuple[int, str, str, str, str, list[str]]]])


class Place(NamedTuple):
    """Where an image stands in the list: when it failed, ms since the epoch, and its id."""

    failed_at: int
    image_id: str


class DeadFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which dead letters; empty fields do not matter."""

    code: str = ""
    model: str = ""
    owner: str = ""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One image that has failed. `failed_at` is ms since the epoch; `earlier_errors` says why attempts
    ended after which another was made, by their numbers.
    """

    failed_at: int
    job_id: str
    owner: str
    model: str
    earlier_errors: dict[int, ImageError]
    image: store_records.ImageRow

    @property
    def place(self) -> Place:
        """Where it stands in the list."""
        return Place(self.failed_at, self.image.image_id)


class Stretch(msgspec.Struct, frozen=True):
    """Some dead letters, and where the next ones begin: None where there are no more."""

    letters: tuple[DeadLetter, ...]
    after: Place | None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of an image's status or attempt. `at` is ms since the epoch."""

    at: int
    status: ImageStatus
    attempt: int
    request_id: str | None
    error: ImageError | None


async def stretch(redis: Redis, wanted: DeadFilter, after: Place | None, limit: int) -> Stretch:
    """Up to `limit` dead letters after a place (None: from the newest)."""
    at, image_id = after or (False, "")
    packed = await _LIST.packed(
        redis, at, image_id, limit, _MOST_LOOKED_AT, wanted.code, wanted.model, wanted.owner
    )
    more, last_at, last_id, found = _stretch.decode(packed)
    letters = tuple(
        DeadLetter(
            failed_at=at,
            job_id=job_id,
            owner=owner,
            model=model,
            earlier_errors=_earlier(errors),
            image=store_records.image_row(row),
        )
        for at, job_id, owner, model, errors, row in found
    )
    return Stretch(letters, Place(last_at, last_id) if more else None)


async def job_of(redis: Redis, image_id: str) -> tuple[str, str] | None:
    """The job of an image and its owner; None where there is no such image."""
    job_id, owner = await command(redis, "HMGET", key("image", image_id), "job_id", "owner")
    return (job_id.decode(), owner.decode()) if job_id and owner else None


async def histories(redis: Redis, job_id: str, image_ids: frozenset[str]) -> dict[str, tuple[Change, ...]]:
    """What the job's history still knows of these images, oldest first, without what merely moved in
    FAL's queue.
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


def _earlier(lines: str) -> dict[int, ImageError]:
    """Read what `try_again` has written: a line for each attempt, its number and its error."""
    errors = {}
    for line in filter(None, lines.split("\n")):
        number, _, error = line.partition(" ")
        errors[int(number)] = _error.decode(error)
    return errors


DEFAULT_LISTED: Final = 20
MOST_LISTED: Final = 100
MOST_REPLAYED: Final = 1000

_place = msgspec.msgpack.Decoder(tuple[int, str])


class ChangeDocument(msgspec.Struct, frozen=True):
    """One step of an image's history."""

    at: Moment
    status: ImageStatus
    attempt: int
    fal_request_id: str | None
    error: ImageError | None


class AttemptDocument(msgspec.Struct, frozen=True):
    """One attempt: FAL's request, when it was first and last heard of, and how it ended.

    `status` is the last one of the attempt, `error` is null where it ended without one.
    """

    attempt: int
    fal_request_id: str | None
    started_at: Moment
    ended_at: Moment
    status: ImageStatus
    error: ImageError | None


class DeadDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One dead letter, with all that is known of it."""

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
    """One page, newest first. It may be short of its limit; only a null `next_cursor` is the end."""

    images: tuple[DeadDocument, ...]
    next_cursor: str | None


class ReplayRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which to replay. Without a filter only with `all`, for each is paid for again."""

    code: str = ""
    model: str = ""
    owner: str = ""
    all: bool = False
    limit: int = DEFAULT_LISTED


class Replayed(msgspec.Struct, frozen=True):
    """How many images run again, which jobs they are of, and whether more match."""

    replayed: int
    job_ids: tuple[str, ...]
    more: bool


async def page(redis: Redis, wanted: DeadFilter, limit: str | None, cursor: str | None) -> DeadPage:
    """One page with whole histories. Raises InvalidParameter."""
    after = _after(cursor) if cursor else None
    found = await stretch(redis, wanted, after, _limit(limit))
    changes = await _changes(redis, found.letters)
    documents = (_document(letter, changes[letter.image.image_id]) for letter in found.letters)
    return DeadPage(tuple(documents), _cursor(found.after) if found.after else None)


async def replay(redis: Redis, image_id: str) -> JobSnapshot:
    """Run one image again; its job. Raises NotFound, and AlreadyFinished where it has not failed."""
    found = await job_of(redis, image_id)
    if found is None:
        raise NotFound("There is no such image.")
    if not await _retry(redis, found[0], [image_id]):
        raise AlreadyFinished("This image has not failed; there is nothing to run again.")
    return await job_reads.read_job(redis, found[0])


async def replay_many(redis: Redis, wish: ReplayRequest) -> Replayed:
    """Run what matches again, the newest first, up to the wish's limit. Raises InvalidParameter."""
    if not 1 <= wish.limit <= MOST_REPLAYED:
        raise InvalidParameter(f"`limit` must be a whole number from 1 to {MOST_REPLAYED}.")
    wanted = DeadFilter(code=wish.code, model=wish.model, owner=wish.owner)
    if wanted == DeadFilter() and not wish.all:
        raise InvalidParameter('Say which: `code`, `model` or `owner`, or `"all": true`. Each is paid for.')
    letters, more = await _matching(redis, wanted, wish.limit)
    retried: dict[str, int] = {}
    for job_id, group in groupby(sorted(letters, key=_job_of), key=_job_of):
        retried[job_id] = await _retry(redis, job_id, [letter.image.image_id for letter in group])
    job_ids = tuple(job_id for job_id, count in retried.items() if count)
    return Replayed(sum(retried.values()), job_ids, more)


async def _matching(redis: Redis, wanted: DeadFilter, limit: int) -> tuple[list[DeadLetter], bool]:
    letters: list[DeadLetter] = []
    after: Place | None = None
    while True:
        found = await stretch(redis, wanted, after, limit - len(letters))
        letters += found.letters
        after = found.after
        if after is None or len(letters) == limit:
            return letters, after is not None


async def _retry(redis: Redis, job_id: str, image_ids: list[str]) -> int:
    head = await lookup.read(redis, job_id)
    if head is None:
        return 0  # deleted meanwhile
    return len(await records.retry(redis, job_id, image_ids, None, low_priority=head.low_priority))


async def _changes(redis: Redis, letters: tuple[DeadLetter, ...]) -> dict[str, tuple[Change, ...]]:
    changes: dict[str, tuple[Change, ...]] = {}
    for job_id in sorted(set(map(_job_of, letters))):
        ids = frozenset(letter.image.image_id for letter in letters if letter.job_id == job_id)
        changes |= await histories(redis, job_id, ids)
    return changes


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
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MOST_LISTED):
        raise InvalidParameter(f"`limit` must be a whole number from 1 to {MOST_LISTED}.")
    return int(text)


def _cursor(place: Place) -> str:
    return urlsafe_b64encode(msgspec.msgpack.encode(tuple(place))).decode().rstrip("=")


def _after(cursor: str) -> Place:
    try:
        failed_at, image_id = _place.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise _bad_cursor() from None
    if not 0 <= failed_at < 2**53:
        raise _bad_cursor()
    return Place(failed_at, image_id)


def _bad_cursor() -> InvalidParameter:
    return InvalidParameter("`cursor` must be the `next_cursor` of an earlier page; leave it out to begin.")
