"""The typed store calls of one image, each one atomic step in Lua.

Every step is fenced: only the worker that holds the image may move it. A step that comes too late raises
StaleFence and changes nothing. `commit_submission` and `not_sent` are fenced by the attempt instead, because
a worker that has lost the image may be the only one that knows FAL's id.

All calls raise StoreOutage, except those that repeat until the store has answered; these say so.
"""

from collections.abc import Collection, Sequence
from enum import IntEnum
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.domain import (
    FalRequest,
    ImageError,
    ImageResult,
    ImageStatus,
    ScaledPicture,
)
from image2model.errors import NoBudgetLeft, StaleFence
from image2model.generation.fal_deletions import KeptAtFal
from image2model.generation.loading import Task
from image2model.queue.retry import until_stored
from image2model.store.durability import Replicas
from image2model.store.scripts import Script

_STEP: Final = Script("generation/step")
_WRITE: Final = Script("generation/write")
_NOT_SENT: Final = Script("generation/not_sent")
_COMMIT: Final = Script("generation/commit_submission")
_AGAIN: Final = Script("generation/try_again")
_CRASH: Final = Script("generation/note_crash")
_NO_REUSE: Final = Script("generation/no_reuse")

Field = str | int
_NO_BUDGET: Final = -4


class Committed(IntEnum):
    """What became of the id of a submission. `ANOTHERS`: it is stored, and another worker holds the image."""

    SUPERSEDED = 0
    MINE = 1
    ANOTHERS = 2


async def move(
    redis: Redis, image_id: str, fence: str, to: ImageStatus, *fields: Field, unknown: bool = False
) -> bool:
    """Move the image and write `fields` (name, value, …). True if a cancel was requested.

    A move to the present status only writes the fields. Raises StaleFence if the fence belongs to another
    worker, the image is final, or the move is illegal; with `unknown` also if FAL's id is known by now. In
    each case another process has decided.
    """
    done = await _STEP.packed(redis, image_id, fence, to.value, fields, unknown)
    if done not in {1, 2}:
        raise StaleFence(f"image {image_id} could not move to {to}: {done}")
    return bool(done == 2)


def scaled_fields(task: Task, sent: Collection[int], scaled: Sequence[ScaledPicture]) -> tuple[Field, ...]:
    """What to write where `task.model` gets the views `sent`, and those in `scaled` smaller than they were.

    Nothing where that is known already.
    """
    kept = [one for one in task.scaled if one.model != task.model or one.view not in sent]
    found = tuple(sorted([*kept, *scaled], key=lambda one: one.view))
    if found == task.scaled:
        return ()
    return ("scaled", msgspec.json.encode(found).decode() if found else "")


@until_stored
async def succeed(redis: Redis, image_id: str, fence: str, result: ImageResult) -> None:
    """End the image with its result. Book its cost first: see `costs`. Repeats until stored."""
    text = msgspec.json.encode(result).decode()
    await move(redis, image_id, fence, ImageStatus.SUCCEEDED, "result", text, "error", "")


@until_stored
async def fail(redis: Redis, image_id: str, fence: str, error: ImageError, *, unknown: bool = False) -> None:
    """End the image with an error. Repeats until stored.

    `unknown`: FAL's id is not known. Raises StaleFence then if it is known by now.
    """
    text = msgspec.json.encode(error).decode()
    await move(redis, image_id, fence, ImageStatus.FAILED, "error", text, unknown=unknown)


async def mark_posting(replicas: Replicas, image_id: str, fence: str) -> int:
    """Mark, right before the first byte of the POST, that FAL may have the request. Returns the time in ms.

    Raises StaleFence, and NotCopied if the replicas have not confirmed the mark.
    """
    return _written(image_id, await replicas.run(_WRITE, image_id, fence, (), "posting_at"))


async def note_timeout(redis: Redis, image_id: str, fence: str) -> None:
    """The request ran too long and will be cancelled; its next holder must know why. Raises StaleFence."""
    await _write(redis, image_id, fence, ("timed_out", 1), None)


async def enter_hazard(redis: Redis, image_id: str, fence: str, *, alone: bool) -> None:
    """The next step may end the process. If it does, the sweep knows which image was at it.

    `alone`: no other image of this worker is in such a step. Raises StaleFence.
    """
    await _write(redis, image_id, fence, ("hazard", "alone" if alone else "shared"), None)


async def leave_hazard(redis: Redis, image_id: str, fence: str) -> None:
    """The image came through: it is no suspect any more. Raises StaleFence."""
    await _write(redis, image_id, fence, ("hazard", "", "hazard_deaths", 0), None)


@until_stored
async def note_crash(redis: Redis, image_id: str, fence: str) -> int:
    """The process that decoded only this image has died. Returns how often that has happened.

    Repeats until stored. Raises StaleFence.
    """
    return _written(image_id, await _CRASH.packed(redis, image_id, fence))


@until_stored
async def not_sent(redis: Redis, image_id: str, attempt_token: str) -> None:
    """FAL has received nothing of this attempt: remove its mark, if it was set. Repeats until stored."""
    await _NOT_SENT.packed(redis, image_id, attempt_token)


async def commit_submission(
    replicas: Replicas,
    image_id: str,
    fence: str,
    attempt_token: str,
    request: FalRequest,
    *,
    keep: KeptAtFal | None = None,
) -> Committed:
    """Store FAL's id, whichever worker holds the image now. The caller repeats it until it is stored.

    `keep`: the request is to be deleted at FAL after its end, or then at the latest. Raises NotCopied if the
    replicas have not confirmed it.
    """
    fields = (
        "request_id",
        request.request_id,
        "status_url",
        request.status_url,
        "response_url",
        request.response_url,
        "cancel_url",
        request.cancel_url,
    )
    terms = False if keep is None else msgspec.structs.astuple(keep)
    return Committed(await replicas.run(_COMMIT, image_id, attempt_token, fence, fields, terms))


async def try_again(
    redis: Redis,
    image_id: str,
    fence: str,
    *,
    used_attempt: bool,
    start_timeout_s: float = 0,
    error: ImageError | None = None,
    unknown: bool = False,
    endpoint: bool = False,
) -> bool:
    """Move the image back to `queued` for another attempt; the caller then releases it with the delay.

    `used_attempt`: FAL had accepted the attempt that ended, so it counts; `error` says why it ended. Without
    it: False, and nothing has changed, if the image has tried for longer than `start_timeout_s` to be
    accepted, pauses not counted. `endpoint`: FAL's endpoint is at fault, which uses up neither an attempt nor
    the time.

    Raises StaleFence, with `unknown` also if FAL's id is known by now. Raises NoBudgetLeft if the price of
    another attempt cannot be reserved; nothing has changed then.
    """
    why = msgspec.json.encode(error).decode() if error else False
    done = await _AGAIN.packed(
        redis, image_id, fence, used_attempt, int(start_timeout_s * 1000), why, unknown, endpoint
    )
    if done == _NO_BUDGET:
        raise NoBudgetLeft(f"no budget is left for another attempt of image {image_id}")
    if done not in {1, 2}:
        raise StaleFence(f"image {image_id} could not be queued again")
    return bool(done == 1)


async def take_result(redis: Redis, image_id: str, fence: str, result: ImageResult, *leaving: Field) -> None:
    """End the image with another image's result, without a run. What earlier attempts cost stays booked."""
    text = msgspec.json.encode(result).decode()
    fields = ("result", text, "cached", 1, "error", "", *leaving)
    await move(redis, image_id, fence, ImageStatus.SUCCEEDED, *fields)


async def give_up_reuse(redis: Redis, image_id: str, fence: str, task: Task) -> None:
    """The result to reuse is gone: this image starts a run of its own. Raises StaleFence."""
    digest = task.main_digest if task.reuse_main else task.digest
    if await _NO_REUSE.packed(redis, image_id, fence, digest, task.reuse_of) != 1:
        raise StaleFence(f"image {image_id} is held by another worker")


async def _write(
    redis: Redis, image_id: str, fence: str, fields: tuple[Field, ...], stamp_field: str | None
) -> int:
    return _written(image_id, await _WRITE.packed(redis, image_id, fence, fields, stamp_field or False))


def _written(image_id: str, reply: int) -> int:
    at = int(reply)
    if not at:
        raise StaleFence(f"image {image_id} is held by another worker")
    return at
