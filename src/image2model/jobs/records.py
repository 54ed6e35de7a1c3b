"""Jobs as a whole: created, cancelled, run again, erased.

Who calls it: the use cases of `service`. Every function is one round trip.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.access.accounts import Allowance, Refused, refusal, script_terms
from image2model.domain import RejectedFile
from image2model.errors import IdempotencyConflict, NotFound, Problem
from image2model.store.scripts import Script


class Made(msgspec.Struct, frozen=True, array_like=True):
    """What the creation says: when it was, or why it was not."""

    at: int
    refused: Refused | None = None


class Retried(msgspec.Struct, frozen=True, array_like=True):
    """What a retry says: which images run again, or why none does."""

    image_ids: list[str]
    refused: Refused | None = None


_CREATE: Final = Script("jobs/create_job")
_FORBID: Final = Script("jobs/forbid_job")
_CANCEL: Final = Script("jobs/cancel_job")
_RETRY: Final = Script("jobs/retry_images")
_ERASE: Final = Script("jobs/erase_job")

_made = msgspec.msgpack.Decoder(Made)
_retried = msgspec.msgpack.Decoder(Retried)
_pair = msgspec.msgpack.Decoder(tuple[int, int])


class NewImage(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted picture. `source_key` is where its bytes lie; `format` is `png`, `jpeg` or `webp`."""

    image_id: str
    filename: str
    size: int
    sha256: str
    width: int
    height: int
    format: str
    source_key: str
    digest: str = ""
    """What makes two runs the same: see `service.content`. Empty: never reused."""


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted batch. `estimated_micro` is micro-dollars for all of it; `ttl_ms` counts from its end."""

    job_id: str
    owner: str
    model: str
    params: dict[str, object]
    images: tuple[NewImage, ...]
    rejected: tuple[RejectedFile, ...]
    low_priority: bool
    no_cache: bool
    webhook_url: str | None
    estimated_micro: int | None
    unit_micro: int = 0
    """Micro-dollars that are set aside for each image until it is final."""
    ttl_ms: int
    traceparent: str = ""
    """The trace that the batch came in by (W3C), which its images' runs go on with. Empty: none."""


class IdempotentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the creation leaves under its idempotency key: see `idempotency`."""

    key: str
    token: str
    value: str
    ttl_ms: int


def _job_fields(job: NewJob) -> list[str | int]:
    return [
        "model",
        job.model,
        "params",
        msgspec.json.encode(job.params).decode(),
        "rejected",
        msgspec.json.encode(job.rejected).decode() if job.rejected else "",
        "priority",
        "low" if job.low_priority else "normal",
        "no_cache",
        "1" if job.no_cache else "",
        "webhook_url",
        job.webhook_url or "",
        "estimated_micro",
        "" if job.estimated_micro is None else job.estimated_micro,
        "ttl_ms",
        job.ttl_ms,
        *(("traceparent", job.traceparent) if job.traceparent else ()),
    ]


def _image_fields(image: NewImage) -> list[str | int]:
    fields: list[str | int] = []
    for name, value in msgspec.structs.asdict(image).items():
        fields += [name, value]
    return fields


async def create(
    redis: Redis, job: NewJob, idempotent: IdempotentAnswer | None = None, allowance: Allowance | None = None
) -> int:
    """Make the job and queue its images, in one step. The same call again changes nothing.

    Returns when it was made, in ms since the epoch.

    Raises IdempotencyConflict where the key was lost to another request meanwhile, and what `accounts.refuse`
    does where the allowance does not reach.
    """
    images = [(image.image_id, _image_fields(image)) for image in job.images]
    answer = (idempotent.key, idempotent.token, idempotent.value, idempotent.ttl_ms) if idempotent else False
    made = _made.decode(
        await _CREATE.packed(
            redis,
            job.job_id,
            job.owner,
            _job_fields(job),
            images,
            job.low_priority,
            answer,
            job.unit_micro,
            script_terms(allowance),
        )
    )
    if made.refused is not None:
        raise _refused_creation(made.refused, allowance)
    return made.at


def _refused_creation(refused: Refused, allowance: Allowance | None) -> Problem:
    if refused.reason == "lost":
        return IdempotencyConflict(
            "This Idempotency-Key ran out while the upload was under way; send it again."
        )
    return refusal(refused, allowance)


async def forbid(redis: Redis, job_id: str) -> bool:
    """After a creation without a reply: whether the job exists. If not, it never will."""
    return bool(await _FORBID(redis, job_id))


async def cancel(redis: Redis, job_id: str, *, delete: bool = False) -> tuple[int, int]:
    """Cancel what was not POSTed, mark the rest; returns how many of each.

    With `delete` the job does not exist from now on, and its traces go when its last image has ended.
    Raises NotFound.
    """
    packed = await _CANCEL.packed(redis, job_id, delete)
    if packed is None:
        raise NotFound("There is no such job.")
    return _pair.decode(packed)


async def retry(
    redis: Redis,
    job_id: str,
    image_ids: Sequence[str] | None,
    params: dict[str, object] | None,
    *,
    low_priority: bool,
    unit_micro: int | None = None,
    allowance: Allowance | None = None,
) -> list[str]:
    """Queue failed images again (None: all of them); returns their ids.

    `unit_micro` is what to set aside for each, None: as before. Raises NotFound, and what `accounts.refuse`
    does where the allowance does not reach: then none runs.
    """
    text = msgspec.json.encode(params).decode() if params is not None else False
    wanted = list(image_ids) if image_ids is not None else False
    unit = False if unit_micro is None else unit_micro
    packed = await _RETRY.packed(redis, job_id, wanted, text, low_priority, unit, script_terms(allowance))
    if packed is None:
        raise NotFound("There is no such job.")
    retried = _retried.decode(packed)
    if retried.refused is not None:
        raise refusal(retried.refused, allowance)
    return retried.image_ids


async def erase(redis: Redis, job_id: str) -> None:
    """Remove every key of the job. Call it after its files are gone."""
    await _ERASE(redis, job_id)
