"""The acceptance of a batch: its pictures are stored first, then one script makes its job, or its jobs where
several models are compared.

A refused batch leaves nothing behind, and a job that was reported to a client is safe in the store. Where the
script's reply is lost, the job may exist or not: `LostReplies` finds out in the background and deletes what
belongs to no job. A crash can leave pictures of a job that does not exist, which housekeeping finds. It never
leaves a job without its pictures.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import monotonic
from typing import Final, TypeVar

import structlog
from redis.asyncio import Redis

from image2model.errors import IdempotencyConflict, NotFound, Problem, StoreUnavailable
from image2model.http.upload import AddressedFile
from image2model.jobs import idempotency, records, reservations, variants
from image2model.jobs.batch_request import Submission
from image2model.jobs.fetches import FetchTarget, NewFetch, new_fetch
from image2model.jobs.idempotency import AcceptedResponse, Reservation
from image2model.jobs.made import as_made
from image2model.jobs.new_jobs import NewImage, NewJob
from image2model.jobs.objects import ReceivedObject
from image2model.jobs.originals import Originals, new_id
from image2model.jobs.records import IdempotencyRecord
from image2model.storage.errors import StorageError
from image2model.storage.objects import ObjectStorage
from image2model.store import job_reads
from image2model.store.condition import REFUSES_WRITES, StoreCondition, condition_of, describe
from image2model.store.connection import StoreOutage
from image2model.store.records import JobSnapshot
from image2model.telemetry import tracing
from image2model.telemetry.unexpected import report_unexpected

_RETRY_SECONDS: Final = 5
_PAUSE_S: Final = 0.5
"""Short: until a batch that no client can ask for again is cancelled, workers may begin to buy it."""
_DELETE_S: Final = 5.0
"""How long a refusal waits for the deletion of stored pictures; it goes on in the background."""
_FINISH_S: Final = 1.5
"""How long a process that has no deadline of its own waits at its end."""
_log: Final = structlog.stdlib.get_logger(__name__)


async def create(
    redis: Redis,
    lost_replies: "LostReplies",
    originals: Originals,
    submission: Submission,
    reservation: Reservation | None,
) -> JobSnapshot:
    """Make one job: see `create_all`."""
    (made,) = await create_all(redis, lost_replies, originals, [submission], reservation)
    return made


async def create_all(
    redis: Redis,
    lost_replies: "LostReplies",
    originals: Originals,
    submissions: Sequence[Submission],
    reservation: Reservation | None,
) -> tuple[JobSnapshot, ...]:
    """Make the jobs of one request, one for each model: all or none. Returns them as they were made.

    Raises StoreUnavailable where the store does not confirm that they are made, StoreOutage where it refuses
    to make them, IdempotencyConflict where the key was lost meanwhile; BudgetExceeded, QueueFull,
    Unauthenticated where the allowance does not suffice; DiskFull and StorageError where the storage has no
    room for the pictures of each job.
    """
    pictures = [originals, *[await originals.copied(one.objects) for one in submissions[1:]]]
    comparison_id = new_id() if len(submissions) > 1 else ""
    jobs = [_new_job(*pair, comparison_id) for pair in zip(pictures, submissions, strict=True)]
    fetches = _fetches(pictures, submissions[0].objects, jobs)
    record = (
        _idempotency_record(reservation, submissions[0].fingerprint, originals.job_ids)
        if reservation
        else None
    )
    try:
        made = await records.create_all(redis, jobs, record, submissions[0].allowance, fetches)
    except Problem:
        raise  # the script made nothing
    except StoreOutage as error:
        if await _provably_not_made(redis, originals.job_id, error):
            raise  # and the pictures are deleted
        _log.error("batch_not_confirmed", job_ids=originals.job_ids, reason=str(error))
        lost_replies.resolve(originals, keyed=reservation is not None)
        reason = describe(condition_of(error) or StoreCondition.AWAY)
        raise StoreUnavailable.after(
            f"The store did not confirm the batch: {reason}. Send it again: under the same Idempotency-Key "
            "it is made once; without one nothing of this request is kept.",
            _RETRY_SECONDS,
        ) from error
    except BaseException:
        # cancelled, or a fault of ours: the jobs may exist, and must not lose their pictures
        lost_replies.resolve(originals, keyed=reservation is not None)
        raise
    if unused := originals.take(submissions[0].unused):
        lost_replies.delete(originals.job_id, unused)
    return made


async def replay(redis: Redis, fingerprint: str, accepted: AcceptedResponse) -> tuple[JobSnapshot, ...]:
    """The first response again: the jobs as they were made. `fingerprint` is that of the form that came now.

    Raises IdempotencyConflict for another request, NotFound once one of the jobs is deleted.
    """
    if fingerprint != accepted.fingerprint:
        raise IdempotencyConflict(
            "This Idempotency-Key was used with other files or fields. Use a new key for a new batch."
        )
    return tuple([as_made(await job_reads.read_job(redis, one)) for one in accepted.job_ids])


def _idempotency_record(
    reservation: Reservation, fingerprint: str, job_ids: Sequence[str]
) -> IdempotencyRecord:
    value = idempotency.encode(AcceptedResponse(fingerprint, job_ids[0], tuple(job_ids[1:])))
    return IdempotencyRecord(
        key=reservation.key,
        token=reservation.token,
        value=value,
        ttl_ms=idempotency.KEPT_MS,
        pending=idempotency.pending(job_ids[0]),
    )


def _new_job(originals: Originals, submission: Submission, comparison_id: str) -> NewJob:
    request, count = submission.request, submission.request.images(len(submission.objects))
    return NewJob(
        job_id=originals.job_id,
        owner=submission.owner,
        model=request.endpoint.id,
        params=dict(request.params),
        images=_images(originals, submission),
        rejected=submission.rejected,
        low_priority=request.low_priority,
        no_cache=request.no_cache,
        webhook_url=request.webhook_url,
        estimated_micro=request.estimate(count, submission.cutouts),
        unit_micro=request.reservation(count, submission.reserved_cutouts),
        cutout_micro=request.cutout_reservation(count, submission.reserved_cutouts),
        max_cost_micro=request.max_cost_micro,
        ttl_ms=submission.ttl_ms,
        traceparent=tracing.traceparent(),
        metadata=request.metadata,
        comparison_id=comparison_id,
    )


def _images(originals: Originals, submission: Submission) -> tuple[NewImage, ...]:
    """The images of all objects, those of one object's variants after each other."""
    digests, images, preparing = submission.digests(), list[NewImage](), submission.request.preparing
    for one in submission.objects:
        drawn = variants.draw(submission.request)
        own = [submission.digest_of(one, variant) for variant in drawn]
        first = originals.image(
            one,
            digests[one.index],
            preparing.wanted if preparing is not None else None,
            submission.cutout_digests(one),
        )
        images += variants.spread(first, submission.request, drawn, own)
    return tuple(images)


def _fetches(
    pictures: Sequence[Originals], objects: Sequence[ReceivedObject], jobs: Sequence[NewJob]
) -> list[NewFetch]:
    """What workers fetch first: for each object with addresses, its pictures for all jobs."""
    found = []
    for one in objects:
        addressed = [view for view in one.views if isinstance(view, AddressedFile)]
        if not addressed:
            continue
        fetch_id = pictures[0].fetch_id(one)
        targets = [
            FetchTarget(
                job.job_id,
                tuple(image.image_id for image in job.images if image.fetch == fetch_id),
                tuple(own.id_of(view.index) for view in addressed),
            )
            for own, job in zip(pictures, jobs, strict=True)
        ]
        found.append(new_fetch(fetch_id, addressed, targets))
    return found


async def _provably_not_made(redis: Redis, job_id: str, error: StoreOutage) -> bool:
    """Whether the store refused the write, and no earlier try over a lost connection has made the job."""
    if condition_of(error) not in REFUSES_WRITES:
        return False
    try:
        return await job_reads.job_version(redis, job_id) is None
    except StoreOutage:
        return False


OriginalsT = TypeVar("OriginalsT", bound=Originals)


class LostReplies:
    """The batches of one process that are no job yet, or may be one. Belongs to one event loop.

    `deadline` (by the monotonic clock) is when the process must have ended; the server sets it.
    """

    def __init__(self, redis: Redis, storage: ObjectStorage) -> None:
        self.deadline: float | None = None
        self._redis = redis
        self._storage = storage
        self._open: set[asyncio.Future[None]] = set()
        self._tasks: dict[asyncio.Task[None], str] = {}

    def originals(self) -> AbstractAsyncContextManager[Originals]:
        """The pictures of a new batch; they are deleted when the block fails."""
        return self.holding(Originals(self._storage))

    @asynccontextmanager
    async def holding(self, originals: OriginalsT) -> AsyncIterator[OriginalsT]:
        """The same for files that are kept in another way."""
        ended = asyncio.get_running_loop().create_future()
        self._open.add(ended)
        try:
            yield originals
        except BaseException:
            if keys := originals.release():
                deletion = self._start(originals.job_id, self._delete(originals.job_id, keys))
                await asyncio.wait({deletion}, timeout=_DELETE_S)
            raise
        finally:
            self._open.discard(ended)
            ended.set_result(None)

    def resolve(self, originals: Originals, *, keyed: bool) -> None:
        """After a creation without a reply: keep the pictures of jobs that exist, delete all others.

        Runs in the background until the store answers. `keyed`: the client sends it again under its
        idempotency key. Without a key no client would ever learn of the job, so a job that was made is
        deleted before it costs anything.
        """
        job_ids, keys = originals.job_ids, originals.release()
        job_id = job_ids[0]
        self._start(job_id, _until_done(job_id, lambda: self._keep_or_delete(job_ids, keys, keyed=keyed)))

    def delete(self, job_id: str, keys: list[str]) -> None:
        """Delete files of a batch that its job does not use, in the background."""
        self._start(job_id, self._delete(job_id, keys))

    async def finish(self) -> None:
        """Wait until every batch is resolved, at most to the deadline. Housekeeping deletes what is left."""
        until = monotonic() + _FINISH_S if self.deadline is None else self.deadline
        while (waiting := {*self._open, *self._tasks}) and (left := until - monotonic()) > 0:
            await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if waiting:
            _log.warning("batches_left_in_doubt", job_ids=sorted(self._tasks.values()), open=len(self._open))

    def _start(self, job_id: str, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)  # asyncio itself holds tasks only weakly
        self._tasks[task] = job_id
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        job_id = self._tasks.pop(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("batch_in_doubt", job_id=job_id, exc_info=error)

    async def _delete(self, job_id: str, keys: list[str]) -> None:
        await _until_done(job_id, lambda: self._storage.delete(keys))

    async def _keep_or_delete(self, job_ids: Sequence[str], keys: list[str], *, keyed: bool) -> None:
        made = await reservations.settle(self._redis, job_ids[0])  # all of them are made, or none
        if not made:
            await self._storage.delete(keys)
        elif not keyed:
            for job_id in job_ids:
                try:
                    await records.cancel(self._redis, job_id, delete=True)
                except NotFound:
                    _log.info("batch_deleted_already", job_id=job_id)
        _log.warning("batch_resolved", job_ids=job_ids, made=made, kept=made and keyed)


async def _until_done(job_id: str, step: Callable[[], Awaitable[None]]) -> None:
    """Retry for as long as the store or the storage is away."""
    tries = 0
    while True:
        try:
            return await step()
        except (StoreOutage, StorageError) as error:
            if tries == 0:
                _log.warning("batch_resolved_later", job_id=job_id, reason=str(error))
            tries += 1
        except Exception as error:  # noqa: BLE001 - reported; housekeeping deletes pictures that belong to no job
            report_unexpected("batch_resolution", error, job_id=job_id)
            return None
        await asyncio.sleep(_PAUSE_S)
