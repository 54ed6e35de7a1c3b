"""The acceptance of a batch: its pictures are stored first, then one script makes the job.

Who calls it: the upload route, which feeds the pictures in. Whatever refuses the batch leaves nothing
behind; whatever is answered with a job is safe in the store.
"""

from collections.abc import Mapping, Sequence

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.access.accounts import Allowance
from image2model.domain import Counts, ImageStatus, RejectedFile
from image2model.errors import IdempotencyConflict, Problem, StoreUnavailable
from image2model.http import documents
from image2model.jobs import idempotency, records
from image2model.jobs.batch_request import BatchRequest, digest
from image2model.jobs.idempotency import Answered, Reservation, fingerprint
from image2model.jobs.lost_reply import LostReplies, Originals, Picture
from image2model.jobs.records import NewImage, NewJob
from image2model.store import job_reads
from image2model.store.condition import REFUSES_WRITES, StoreCondition, condition_of, describe
from image2model.store.connection import StoreOutage
from image2model.store.records import ImageRow, JobRow, JobSnapshot
from image2model.telemetry import tracing

_log = structlog.stdlib.get_logger(__name__)
RETRY_SECONDS = 5


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that has been read to its end. `fields` are the form's, as they came."""

    owner: str
    allowance: Allowance | None = None
    request: BatchRequest
    fields: Mapping[str, str]
    pictures: Sequence[Picture]
    rejected: tuple[RejectedFile, ...]
    dedupe: str
    bad: tuple[tuple[int, str, str], ...]
    """(index, file name, code) of the files that were left out."""

    @property
    def fingerprint(self) -> str:
        """What makes two requests the same."""
        good = [(picture.index, picture.filename, picture.sha256) for picture in self.pictures]
        return fingerprint(self.fields, [*good, *self.bad])


async def create(
    redis: Redis,
    lost_replies: LostReplies,
    originals: Originals,
    submission: Submission,
    reservation: Reservation | None,
    *,
    ttl_s: float,
) -> documents.JobDocument:
    """Make the job. Returns its document as it was made.

    Raises StoreUnavailable where the store does not say that it is made, StoreOutage where it refuses to
    make it, IdempotencyConflict where the key was lost meanwhile; BudgetExceeded, QueueFull, Unauthenticated
    where the allowance does not reach.
    """
    job = _new_job(originals, submission, ttl_s)
    answer = _answer(reservation, submission, job.job_id) if reservation else None
    try:
        made_at = await records.create(redis, job, answer, submission.allowance)
    except Problem:
        raise  # the script made nothing
    except StoreOutage as error:
        if await _provably_not_made(redis, job.job_id, error):
            raise  # and the pictures are discarded
        _log.error("batch_not_confirmed", job_id=job.job_id, reason=str(error))
        lost_replies.settle(originals, keyed=reservation is not None)
        words = describe(condition_of(error) or StoreCondition.AWAY)
        raise StoreUnavailable.after(
            f"The store did not confirm the batch: {words}. Send it again: under the same Idempotency-Key "
            "it is made once; without one nothing of this request is kept.",
            RETRY_SECONDS,
        ) from error
    except BaseException:
        # cancelled, or a fault of ours: the job may have come to be, and must not lose its pictures
        lost_replies.settle(originals, keyed=reservation is not None)
        raise
    return of_new(job, made_at)


async def _provably_not_made(redis: Redis, job_id: str, error: StoreOutage) -> bool:
    """Whether the store refused the write, and no earlier try over a lost connection has made the job."""
    if condition_of(error) not in REFUSES_WRITES:
        return False
    try:
        return await job_reads.job_version(redis, job_id) is None
    except StoreOutage:
        return False


async def replay(redis: Redis, submission: Submission, answered: Answered) -> documents.JobDocument:
    """The first answer again. Raises IdempotencyConflict for another request, NotFound once it is deleted."""
    if submission.fingerprint != answered.fingerprint:
        raise IdempotencyConflict(
            "This Idempotency-Key was used with other files or fields. Use a new key for a new batch."
        )
    return of_existing(await job_reads.read_job(redis, answered.job_id))


def _answer(reservation: Reservation, submission: Submission, job_id: str) -> records.IdempotentAnswer:
    value = idempotency.encode(Answered(submission.fingerprint, job_id))
    return records.IdempotentAnswer(
        key=reservation.key, token=reservation.token, value=value, ttl_ms=idempotency.KEPT_MS
    )


def _new_job(originals: Originals, submission: Submission, ttl_s: float) -> records.NewJob:
    request = submission.request
    return records.NewJob(
        job_id=originals.job_id,
        owner=submission.owner,
        model=request.endpoint.id,
        params=dict(request.params),
        images=tuple(
            originals.image(picture, _digest(picture, submission)) for picture in submission.pictures
        ),
        rejected=submission.rejected,
        low_priority=request.low_priority,
        no_cache=request.no_cache,
        webhook_url=request.webhook_url,
        estimated_micro=request.estimate(len(submission.pictures)),
        unit_micro=request.reservation,
        ttl_ms=int(ttl_s * 1000),
        traceparent=tracing.traceparent(),
    )


def _digest(picture: Picture, submission: Submission) -> str:
    request = submission.request
    return digest(
        picture.sha256,
        request.endpoint.id,
        request.params,
        owner=submission.owner,
        dedupe=submission.dedupe,
        no_cache=request.no_cache,
    )


def of_new(job: NewJob, made_at: int) -> documents.JobDocument:
    """Of a job that was made just now, at `made_at` ms since the epoch."""
    row = _job_row(
        model=job.model,
        params=job.params,
        total=len(job.images),
        made_at=made_at,
        rejected=job.rejected,
        estimated_micro=job.estimated_micro,
    )
    images = tuple(_image_row(image, index, made_at) for index, image in enumerate(job.images))
    return _document(job.job_id, row, images)


def of_existing(job: JobSnapshot) -> documents.JobDocument:
    """Of a job that may have come far since."""
    row = _job_row(
        model=job.job.model,
        params=job.job.params,
        total=job.job.total,
        made_at=job.job.created_at,
        rejected=job.job.rejected,
        estimated_micro=job.job.estimated_micro,
    )
    return _document(job.job_id, row, tuple(map(_as_made, job.images)))


def _document(job_id: str, row: JobRow, images: tuple[ImageRow, ...]) -> documents.JobDocument:
    counts = Counts(queued=len(images))
    return documents.job_document(
        JobSnapshot(job_id=job_id, version=0, owner="", deleted=False, job=row, counts=counts, images=images)
    )


def _job_row(
    *,
    model: str,
    params: dict[str, object],
    total: int,
    made_at: int,
    rejected: tuple[RejectedFile, ...],
    estimated_micro: int | None,
) -> JobRow:
    return JobRow(
        model=model,
        params=params,
        total=total,
        created_at=made_at,
        updated_at=made_at,
        finished_at=None,
        expires_at=None,
        waiting_for=None,
        cancel_requested=False,
        rejected=rejected,
        estimated_micro=estimated_micro,
        cost_micro=0,
    )


def _image_row(image: NewImage, index: int, made_at: int) -> ImageRow:
    return ImageRow(
        image_id=image.image_id,
        index=index,
        filename=image.filename,
        size=image.size,
        sha256=image.sha256,
        width=image.width,
        height=image.height,
        format=image.format,
        status=ImageStatus.QUEUED,
        queue_position=None,
        attempt=1,
        cached=False,
        request_id=None,
        cost_micro=None,
        error=None,
        result=None,
        created_at=made_at,
        started_at=None,
        finished_at=None,
        cost_uncertain=False,
    )


def _as_made(row: ImageRow) -> ImageRow:
    return msgspec.structs.replace(
        row,
        status=ImageStatus.QUEUED,
        queue_position=None,
        attempt=1,
        cached=False,
        request_id=None,
        cost_micro=None,
        error=None,
        result=None,
        started_at=None,
        finished_at=None,
        cost_uncertain=False,
    )
