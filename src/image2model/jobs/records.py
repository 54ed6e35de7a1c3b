"""Jobs as a whole: created, cancelled, run again, erased.

Every change of a job is one script. A script checks everything before its first write, so a refused call has
changed nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.access import accounts
from image2model.access.accounts import Allowance, Refused
from image2model.errors import IdempotencyConflict, NotFound, Problem, StoreUnavailable
from image2model.fal.endpoints import Json
from image2model.jobs import lists, new_jobs, reservations
from image2model.jobs.fetches import NewFetch
from image2model.jobs.made import created_job
from image2model.jobs.new_jobs import NewJob
from image2model.store.connection import StoreOutage, command
from image2model.store.keys import key
from image2model.store.records import JobSnapshot
from image2model.store.scripts import Script

_OLD_PROCESSES_RETRY_S: Final = 60
_CREATE: Final = Script("jobs/create_job")
_CREATE_AT_ONCE: Final = Script("jobs/create_jobs_at_once")
_CANCEL: Final = Script("jobs/cancel_job")
_RETRY: Final = Script("jobs/retry_images")
_ERASE: Final = Script("jobs/erase_job")


class IdempotencyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the creation leaves under its idempotency key: see `idempotency`."""

    key: tuple[str, str]
    token: str
    value: str
    ttl_ms: int
    pending: str = ""
    """Its value from the admission of the request until its jobs are made. A confirmation makes none."""


class Created(msgspec.Struct, frozen=True, array_like=True):
    """The creation's reply: when the job was made, or why it was not."""

    at: int
    refused: Refused | None = None


class Retried(msgspec.Struct, frozen=True, array_like=True):
    """The retry's reply: which images run again, or why none does."""

    image_ids: list[str]
    refused: Refused | None = None


class SeededParams(msgspec.Struct, frozen=True):
    """What a retry runs one variant with, and the seed in it."""

    params: dict[str, Json]
    seed: int | None


_LOST: Final = Refused("lost")
_log: Final = structlog.stdlib.get_logger(__name__)
_created: Final = msgspec.msgpack.Decoder(Created)
_retried: Final = msgspec.msgpack.Decoder(Retried)
_cancelled: Final = msgspec.msgpack.Decoder(tuple[int, int])


async def create(
    redis: Redis, job: NewJob, record: IdempotencyRecord | None = None, allowance: Allowance | None = None
) -> JobSnapshot:
    """Make one job: see `create_all`."""
    (made,) = await create_all(redis, [job], record, allowance)
    return made


async def create_all(
    redis: Redis,
    jobs: Sequence[NewJob],
    record: IdempotencyRecord | None = None,
    allowance: Allowance | None = None,
    fetches: Sequence[NewFetch] = (),
) -> tuple[JobSnapshot, ...]:
    """Make the jobs of one request and queue their images: all or none of them. `fetches` brings their
    pictures first. Three steps: what they need is reserved, they are made, the reservation ends.

    A step that is repeated changes nothing. Returns the jobs as they were made; a snapshot's version is 0.

    Raises IdempotencyConflict where the key was lost to another request, and what `accounts.refusal`
    returns where the allowance does not suffice.
    """
    terms = accounts.script_terms(allowance)
    packed = [new_jobs.packed(job) for job in jobs]
    fetched = [one.packed for one in fetches]
    token = jobs[0].job_id
    reserved = await reservations.reserve(
        redis,
        token,
        jobs[0].owner,
        [(job.job_id, len(job.images), job.low_priority, job.tokens) for job in jobs],
        sum(job.reserved_micro for job in jobs),
        (record.key, record.token, record.value, record.ttl_ms, record.pending) if record else False,
        terms,
    )
    if reserved.at_once:
        return await _create_at_once(redis, jobs, packed, record, allowance, fetched)
    if reserved.refused is not None:
        raise _refusal(reserved.refused, allowance)
    made = bool(
        await _CREATE.packed(redis, jobs[0].owner, packed, reserved.scores, terms, reserved.at, fetched)
    )
    try:
        await reservations.end(redis, token, made=made)
    except StoreOutage as error:
        _log.warning("reservation_not_ended", job_id=token, reason=str(error))  # the reconciler settles it
    if not made:
        raise _refusal(_LOST, allowance)
    return tuple(created_job(job, reserved.at) for job in jobs)


async def _create_at_once(
    redis: Redis,
    jobs: Sequence[NewJob],
    packed: Sequence[object],
    record: IdempotencyRecord | None,
    allowance: Allowance | None,
    fetches: Sequence[object],
) -> tuple[JobSnapshot, ...]:
    """The same in one step, as processes of data version 4 do it."""
    reply = await _CREATE_AT_ONCE.packed(
        redis,
        jobs[0].owner,
        packed,
        (record.key, record.token, record.value, record.ttl_ms) if record else False,
        accounts.script_terms(allowance),
        any(job.needs_newest for job in jobs),
        fetches,
    )
    created = _created.decode(reply)
    if created.refused is not None:
        raise _refusal(created.refused, allowance)
    return tuple(created_job(job, created.at) for job in jobs)


def _refusal(refused: Refused, allowance: Allowance | None) -> Problem:
    if refused.reason == "old_processes":
        return StoreUnavailable.after(
            "Processes of the release before still run, which know no objects of several views, variants, "
            "comparisons, prepared pictures, addresses of pictures and second steps. Send it again when the "
            "last of them has ended; files, for one model and sent as they are, are accepted meanwhile.",
            _OLD_PROCESSES_RETRY_S,
        )
    if refused.reason == "lost":
        return IdempotencyConflict(
            "This Idempotency-Key ran out while the upload was under way; send it again."
        )
    return accounts.refusal(refused, allowance)


async def cancel(
    redis: Redis, job_id: str, *, delete: bool = False, keep_ms: int | None = None
) -> tuple[int, int]:
    """Cancel what was never sent to FAL, mark the rest. Returns how many of each.

    With `delete` the job does not exist from now on, and its records go when its last image has ended.
    `keep_ms`: its requests are then deleted at FAL too, those that run in so many ms at the latest. None:
    only those that were sent to be deleted. Raises NotFound.
    """
    packed = await _CANCEL.packed(redis, job_id, delete, False if keep_ms is None else keep_ms)
    if packed is None:
        raise NotFound("There is no such job.")
    if delete:
        await lists.unlist(redis, job_id)
    return _cancelled.decode(packed)


async def retry(
    redis: Redis,
    job_id: str,
    image_ids: Sequence[str] | None,
    params: dict[str, object] | None,
    *,
    low_priority: bool,
    unit_micro: int | None = None,
    allowance: Allowance | None = None,
    own: Mapping[str, SeededParams] | None = None,
) -> list[str]:
    """Queue failed images again (None: all of them); returns their ids.

    With `params` in place of those of before; variants have them with a seed of their `own`, by image.
    `unit_micro` is what to set aside for each, None: as before. Raises NotFound, and what `accounts.refusal`
    returns where the allowance does not suffice: then none runs.
    """
    packed = await _RETRY.packed(
        redis,
        job_id,
        False if image_ids is None else list(image_ids),
        False if params is None else new_jobs.as_json(params),
        low_priority,
        False if unit_micro is None else unit_micro,
        accounts.script_terms(allowance),
        {
            name: (new_jobs.as_json(one.params), "" if one.seed is None else one.seed)
            for name, one in (own or {}).items()
        },
    )
    if packed is None:
        raise NotFound("There is no such job.")
    retried = _retried.decode(packed)
    if retried.refused is not None:
        raise accounts.refusal(retried.refused, allowance)
    return retried.image_ids


async def max_cost(redis: Redis, job_id: str) -> int | None:
    """The client's own limit for the whole job, in micro-dollars. Raises StoreOutage."""
    micro = await command(redis, "HGET", key("job", job_id), "max_cost_micro")
    return int(micro) if micro else None


async def erase(redis: Redis, job_id: str) -> None:
    """Remove every key of the job. Delete its files first. Raises StoreOutage; a repetition continues."""
    await lists.unlist(redis, job_id)
    await _ERASE(redis, job_id)
