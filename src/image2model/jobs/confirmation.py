"""A client has looked at an image's prepared pictures: its model is made of them, or it is cancelled.

What the image still needs is reserved since the upload, so a confirmation can fail for no budget. It is one
script, which changes nothing where a worker or another client was faster.
"""

import hashlib
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.access import lookup
from image2model.domain import IMAGE_FINISHED, ImageStatus, Preparation
from image2model.errors import AlreadyFinished, IdempotencyConflict, NotFound, NotReady
from image2model.jobs import idempotency
from image2model.jobs.idempotency import AcceptedResponse, Reservation
from image2model.jobs.records import IdempotencyRecord
from image2model.store import job_reads
from image2model.store.connection import command
from image2model.store.keys import key
from image2model.store.records import ImageRow, JobSnapshot
from image2model.store.scripts import Script

_CONFIRM: Final = Script("jobs/confirm_image")
_TRIES: Final = 5
_DONE, _LOST_KEY = 1, -1
_preparation: Final = msgspec.json.Decoder(Preparation)


def fingerprint(job_id: str, image_id: str, *, accept: bool) -> str:
    """The same for the same confirmation."""
    return hashlib.sha256(msgspec.json.encode(["confirm", job_id, image_id, accept])).hexdigest()


def record_of(reservation: Reservation, mark: str, job_id: str) -> IdempotencyRecord:
    """What the confirmation leaves under its idempotency key; `mark` is its fingerprint."""
    value = idempotency.encode(AcceptedResponse(mark, job_id))
    return IdempotencyRecord(
        key=reservation.key, token=reservation.token, value=value, ttl_ms=idempotency.KEPT_MS
    )


async def replay(redis: Redis, owner: str, mark: str, accepted: AcceptedResponse) -> JobSnapshot:
    """The job as it is now. Raises IdempotencyConflict for another request, NotFound, Expired."""
    if mark != accepted.fingerprint:
        raise IdempotencyConflict("This Idempotency-Key was used for something else. Use a new key.")
    return await lookup.snapshot(redis, owner, accepted.job_id)


async def confirm(
    redis: Redis,
    owner: str,
    job_id: str,
    image_id: str,
    *,
    accept: bool,
    record: IdempotencyRecord | None = None,
) -> JobSnapshot:
    """Let the image go on, or cancel it; the same answer again changes nothing. Returns the job.

    Raises NotFound, Expired, NotReady while its pictures are being prepared, AlreadyFinished,
    IdempotencyConflict.
    """
    await lookup.access(redis, owner, job_id)
    for _ in range(_TRIES):
        text = await command(redis, "HGET", key("image", image_id), "preparation")
        job = await job_reads.read_job(redis, job_id)
        row = next((image for image in job.images if image.image_id == image_id), None)
        if row is None:
            raise NotFound("This job has no such image.")
        preparation = _preparation.decode(text) if text else None
        if _is_done(row, preparation, accept=accept):
            return job
        wanted = _wanted(row, preparation)
        confirmed = msgspec.structs.replace(wanted, confirmed=True)
        done = await _CONFIRM.packed(
            redis,
            job_id,
            image_id,
            text.decode(),
            msgspec.json.encode(confirmed).decode() if accept else "",
            (record.key, record.token, record.value, record.ttl_ms) if record else False,
        )
        if done == _DONE:
            return await job_reads.read_job(redis, job_id)
        if done == _LOST_KEY:
            raise IdempotencyConflict("This Idempotency-Key ran out meanwhile; send it again.")
    raise NotReady("The image is changing. Ask again in a moment.")


def _is_done(row: ImageRow, preparation: Preparation | None, *, accept: bool) -> bool:
    """Whether the same answer was given before."""
    if preparation is None or not preparation.confirm_prepared:
        return False
    return preparation.confirmed if accept else row.status is ImageStatus.CANCELLED


def _wanted(row: ImageRow, preparation: Preparation | None) -> Preparation:
    """What can be confirmed now. Raises NotReady, AlreadyFinished."""
    if preparation is None or not preparation.confirm_prepared:
        raise NotReady("This image waits for no confirmation: upload it with `confirm_prepared=true`.")
    if row.status in IMAGE_FINISHED:
        raise AlreadyFinished(f"This image has {row.status}; there is nothing to confirm.")
    if preparation.confirmed:
        raise AlreadyFinished("The prepared picture was confirmed already. Cancel the job to stop it.")
    if not preparation.files:
        raise NotReady(f"This image is {row.status}. Its picture can be confirmed once it is prepared.")
    return preparation
