"""Dead letters: the images that have failed for good, newest first, and what happened to each.

Who calls it: the admin's use cases. The index is kept by the scripts that move images; here it is read.
"""

from typing import Final, NamedTuple

import msgspec
from redis.asyncio import Redis

from image2model.domain import ImageError, ImageStatus
from image2model.store import events, rows
from image2model.store.connection import command
from image2model.store.events import ImageChanged
from image2model.store.keys import key
from image2model.store.script import Script

_LIST: Final = Script("list_dead")
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
    image: rows.ImageRow

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
            image=rows.image_row(row),
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
    for event in await events.of_job(redis, job_id, 0):
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
