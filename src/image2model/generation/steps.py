"""One image's steps, each fenced: only the worker that holds the image may move it.

Who calls it: the worker. A step that comes too late raises StaleFence and changes nothing; the one
exception is `commit_submission`, fenced by the attempt.
"""

from enum import IntEnum
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.domain import FalRequest, ImageError, ImageResult, ImageStatus
from image2model.errors import NoBudgetLeft, StaleFence
from image2model.store.connection import command
from image2model.store.durability import Replicas
from image2model.store.keys import key
from image2model.store.scripts import Script

_LOAD: Final = Script("generation/load_image")
_STEP: Final = Script("generation/step")
_WRITE: Final = Script("generation/write")
_NOT_SENT: Final = Script("generation/not_sent")
_COMMIT: Final = Script("generation/commit_submission")
_AGAIN: Final = Script("generation/try_again")
_CRASH: Final = Script("generation/note_crash")
_NO_REUSE: Final = Script("generation/no_reuse")
_REPLACE: Final = Script("generation/replace_result")

Field = str | int
_NO_BUDGET: Final = -4


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """All that a worker must know of one image to go on with it.

    Times in ms, by the store's clock, `size` in bytes, texts empty when not set.
    """

    image_id: str
    job_id: str
    owner: str
    status: ImageStatus
    model: str
    params: dict[str, object]
    priority: str
    filename: str
    format: str
    size: int
    source_key: str
    attempt: int
    attempts_used: int
    attempt_token: str
    intent_url: str
    posting_at: int
    running_at: int
    timed_out: bool
    created_at: int
    start_tries: int
    cancel_requested: bool
    digest: str
    reuse_of: str
    hazard_deaths: int
    crashes: int
    traceparent: str
    request: FalRequest | None
    loaded_at: int


class Committed(IntEnum):
    """What became of a submission's id."""

    SUPERSEDED = 0
    MINE = 1
    ANOTHERS = 2


_params = msgspec.json.Decoder(dict[str, object])
_result = msgspec.json.Decoder(ImageResult)
_JOB: Final = ("model", "params", "priority", "traceparent")
_IMAGE: Final = (
    "job_id",
    "owner",
    "status",
    "params",
    "filename",
    "format",
    "size",
    "source_key",
    "attempt",
    "attempts_used",
    "attempt_token",
    "intent_url",
    "posting_at",
    "running_at",
    "timed_out",
    "created_at",
    "start_tries",
    "cancel_requested",
    "digest",
    "reuse_of",
    "hazard_deaths",
    "crashes",
    "request_id",
    "status_url",
    "response_url",
    "cancel_url",
)


async def load(redis: Redis, image_id: str) -> Task:
    """Read an image and what it needs of its job. Raises StaleFence where it no longer exists."""
    of_image, of_job, now = await _LOAD.packed(redis, image_id, _IMAGE, _JOB)
    image = dict(zip(_IMAGE, _as_texts(of_image), strict=True))
    if not image["job_id"]:
        raise StaleFence(f"image {image_id} does not exist")
    model, params, priority, traceparent = _as_texts(of_job)
    request = (
        FalRequest(image["request_id"], image["status_url"], image["response_url"], image["cancel_url"])
        if image["request_id"]
        else None
    )
    return Task(
        image_id=image_id,
        job_id=image["job_id"],
        owner=image["owner"],
        status=ImageStatus(image["status"]),
        model=model,
        params=_params.decode(image["params"] or params or "{}"),
        priority=priority,
        filename=image["filename"],
        format=image["format"],
        size=int(image["size"] or 0),
        source_key=image["source_key"],
        attempt=int(image["attempt"] or 1),
        attempts_used=int(image["attempts_used"] or 0),
        attempt_token=image["attempt_token"],
        intent_url=image["intent_url"],
        posting_at=int(image["posting_at"] or 0),
        running_at=int(image["running_at"] or 0),
        timed_out=image["timed_out"] == "1",
        created_at=int(image["created_at"]),
        start_tries=int(image["start_tries"] or 0),
        cancel_requested=image["cancel_requested"] == "1",
        digest=image["digest"],
        reuse_of=image["reuse_of"],
        hazard_deaths=int(image["hazard_deaths"] or 0),
        crashes=int(image["crashes"] or 0),
        traceparent=traceparent,
        request=request,
        loaded_at=int(now),
    )


async def _texts(redis: Redis, hash_key: str, names: tuple[str, ...]) -> list[str]:
    return _as_texts(await command(redis, "HMGET", hash_key, *names))


def _as_texts(values: list[bytes | None]) -> list[str]:
    return [value.decode() if value else "" for value in values]


async def move(
    redis: Redis, image_id: str, fence: str, to: ImageStatus, *fields: Field, unknown: bool = False
) -> bool:
    """Move the image and write `fields` (name, value, …). True when a cancel has been asked for.

    The status that it has already only writes. Raises StaleFence where the fence is another's, or the
    image is final, or the move is illegal, or with `unknown` FAL's id has turned up: in each case somebody
    else has decided.
    """
    done = await _STEP.packed(redis, image_id, fence, to.value, fields, unknown)
    if done not in {1, 2}:
        raise StaleFence(f"image {image_id} could not move to {to}: {done}")
    return bool(done == 2)


async def succeed(redis: Redis, image_id: str, fence: str, result: ImageResult) -> None:
    """The end that everybody wants. What it cost is booked before: see `costs`."""
    text = msgspec.json.encode(result).decode()
    await move(redis, image_id, fence, ImageStatus.SUCCEEDED, "result", text, "error", "")


async def result_of(redis: Redis, image_id: str) -> tuple[str, ImageResult] | None:
    """The job and the result of another image; None where it has none (any more)."""
    job_id, result = await _texts(redis, key("image", image_id), ("job_id", "result"))
    return (job_id, _result.decode(result)) if result else None


class Replaced(IntEnum):
    """What became of a better result."""

    GONE = -1
    CHANGED_MEANWHILE = 0
    DONE = 1


async def result_text(redis: Redis, image_id: str) -> str:
    """A result as it is stored, to be replaced; empty where there is none."""
    (text,) = await _texts(redis, key("image", image_id), ("result",))
    return text


def result_from(text: str) -> ImageResult:
    """The result in the text that `result_text` gave."""
    return _result.decode(text)


async def replace_result(redis: Redis, image_id: str, before: str, after: ImageResult) -> Replaced:
    """A succeeded image's result gets better; the change is told like any other. Repeat it until it answers.

    `before` is what `result_text` gave: where it is another by now, nothing changes.
    """
    text = msgspec.json.encode(after).decode()
    return Replaced(await _REPLACE.packed(redis, image_id, before, text))


async def take_result(redis: Redis, image_id: str, fence: str, result: ImageResult) -> None:
    """A success without a run: the same picture's result, for nothing. What earlier attempts cost stays."""
    text = msgspec.json.encode(result).decode()
    await move(redis, image_id, fence, ImageStatus.SUCCEEDED, "result", text, "cached", 1, "error", "")


async def give_up_reuse(redis: Redis, image_id: str, fence: str, task: Task) -> None:
    """The result to take is gone: this image leads a run of its own. Raises StaleFence."""
    if await _NO_REUSE.packed(redis, image_id, fence, task.digest, task.reuse_of) != 1:
        raise StaleFence(f"image {image_id} is no longer ours")


async def fail(redis: Redis, image_id: str, fence: str, error: ImageError, *, unknown: bool = False) -> None:
    """The end with a reason. `unknown`: that FAL's id is not known, so not once it has turned up."""
    text = msgspec.json.encode(error).decode()
    await move(redis, image_id, fence, ImageStatus.FAILED, "error", text, unknown=unknown)


async def mark_posting(replicas: Replicas, image_id: str, fence: str) -> int:
    """Step 3, right before the first byte: from here on FAL may have it. Returns the time in ms.

    Raises StaleFence, and NotCopied.
    """
    return _written(image_id, await replicas.run(_WRITE, image_id, fence, (), "posting_at"))


async def note_timeout(redis: Redis, image_id: str, fence: str) -> None:
    """It ran too long and will be cancelled: whoever sees its end must know why. Raises StaleFence."""
    await _write(redis, image_id, fence, ("timed_out", 1), None)


async def enter_hazard(redis: Redis, image_id: str, fence: str, *, alone: bool) -> None:
    """What comes next could end the process; should it, the sweep knows whose step that was.

    `alone`: nobody else is in such a step of this worker. Raises StaleFence.
    """
    await _write(redis, image_id, fence, ("hazard", "alone" if alone else "shared"), None)


async def leave_hazard(redis: Redis, image_id: str, fence: str) -> None:
    """It has come through, and is suspected of nothing. Raises StaleFence."""
    await _write(redis, image_id, fence, ("hazard", "", "hazard_deaths", 0), None)


async def note_crash(redis: Redis, image_id: str, fence: str) -> int:
    """The process that decoded it, and nothing else, has died; how often that was.

    Repeat it until it answers. Raises StaleFence.
    """
    return _written(image_id, await _CRASH.packed(redis, image_id, fence))


async def not_sent(redis: Redis, image_id: str, attempt_token: str) -> None:
    """FAL has nothing of this attempt: take its mark back, if it was set. Repeat it until it answers."""
    await _NOT_SENT.packed(redis, image_id, attempt_token)


async def commit_submission(
    replicas: Replicas, image_id: str, fence: str, attempt_token: str, request: FalRequest
) -> Committed:
    """Step 4: FAL's id, whoever holds the image now. Repeat it until it answers. Raises NotCopied."""
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
    return Committed(await replicas.run(_COMMIT, image_id, attempt_token, fence, fields))


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
    """Back to `queued` for another attempt; the caller then lets go with the delay.

    `used_attempt`: FAL accepted the one that ended, so it counts; `error` says why it ended. Otherwise
    False, and nothing changed, where the image has tried for longer than `start_timeout_s` to be accepted,
    pauses not counted. `endpoint`: FAL's endpoint is at fault, which uses up neither an attempt nor the time.
    Raises StaleFence, with `unknown` also where FAL's id has turned up, and NoBudgetLeft where the price of
    another attempt cannot be set aside; nothing has changed then.
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


async def _write(
    redis: Redis, image_id: str, fence: str, fields: tuple[Field, ...], stamp_field: str | None
) -> int:
    return _written(image_id, await _WRITE.packed(redis, image_id, fence, fields, stamp_field or False))


def _written(image_id: str, reply: int) -> int:
    at = int(reply)
    if not at:
        raise StaleFence(f"image {image_id} is no longer ours")
    return at
