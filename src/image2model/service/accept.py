"""The acceptance of a batch: its pictures are stored first, then one script makes the job.

Who calls it: the upload route, which feeds the pictures in. Whatever refuses the batch leaves nothing
behind; whatever is answered with a job is safe in the store.
"""

from collections.abc import Mapping, Sequence

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.domain import RejectedFile
from image2model.errors import IdempotencyConflict, Problem, StoreUnavailable
from image2model.service import documents, first_answer
from image2model.service.batch_request import BatchRequest
from image2model.service.content import digest
from image2model.service.idempotency import fingerprint
from image2model.service.originals import Originals, Picture
from image2model.service.unsettled import UnsettledBatches
from image2model.store import idempotency, job_reads, jobs
from image2model.store.accounts import Allowance
from image2model.store.condition import REFUSES_WRITES, StoreCondition, condition_of, describe
from image2model.store.connection import StoreOutage
from image2model.store.idempotency import Answered, Reservation
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
    unsettled: UnsettledBatches,
    originals: Originals,
    submission: Submission,
    place: Reservation | None,
    *,
    ttl_s: float,
) -> documents.JobDocument:
    """Make the job. Returns its document as it was made.

    Raises StoreUnavailable where the store does not say that it is made, StoreOutage where it refuses to
    make it, IdempotencyConflict where the key was lost meanwhile; BudgetExceeded, QueueFull, Unauthenticated
    where the allowance does not reach.
    """
    job = _new_job(originals, submission, ttl_s)
    answer = _answer(place, submission, job.job_id) if place else None
    try:
        made_at = await jobs.create(redis, job, answer, submission.allowance)
    except Problem:
        raise  # the script made nothing
    except StoreOutage as error:
        if await _provably_not_made(redis, job.job_id, error):
            raise  # and the pictures are discarded
        _log.error("batch_not_confirmed", job_id=job.job_id, reason=str(error))
        unsettled.settle(originals, keyed=place is not None)
        words = describe(condition_of(error) or StoreCondition.AWAY)
        raise StoreUnavailable.after(
            f"The store did not confirm the batch: {words}. Send it again: under the same Idempotency-Key "
            "it is made once; without one nothing of this request is kept.",
            RETRY_SECONDS,
        ) from error
    except BaseException:
        # cancelled, or a fault of ours: the job may have come to be, and must not lose its pictures
        unsettled.settle(originals, keyed=place is not None)
        raise
    return first_answer.of_new(job, made_at)


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
    return first_answer.of_existing(await job_reads.read_job(redis, answered.job_id))


def _answer(place: Reservation, submission: Submission, job_id: str) -> jobs.IdempotentAnswer:
    value = idempotency.encode(Answered(submission.fingerprint, job_id))
    return jobs.IdempotentAnswer(key=place.key, token=place.token, value=value, ttl_ms=idempotency.KEPT_MS)


def _new_job(originals: Originals, submission: Submission, ttl_s: float) -> jobs.NewJob:
    request = submission.request
    return jobs.NewJob(
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
