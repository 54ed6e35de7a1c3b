"""What a client may do to an existing job: cancel it, retry failed images, refresh its files, delete it.

Each checks that the job is the caller's before anything else. The checks of a retry may be outdated when its
script runs, which decides by the job as it is then.
"""

from collections.abc import Sequence

from redis.asyncio import Redis

from image2model.access import lookup
from image2model.access.accounts import Allowance
from image2model.domain import ImageStatus
from image2model.errors import AlreadyFinished, InvalidParameter, NotFound, NotReady
from image2model.fal.endpoints import endpoint_of, normalise
from image2model.jobs import records
from image2model.queue import reconciliation
from image2model.storage import layout
from image2model.storage.objects import ObjectStorage
from image2model.store import job_reads
from image2model.store.keys import Queue
from image2model.store.records import JobSnapshot


async def cancel(redis: Redis, owner: str, job_id: str) -> JobSnapshot:
    """Cancel what is not finished. What FAL has is marked to stop and followed to its end.

    Raises NotFound, Expired, AlreadyFinished.
    """
    await lookup.access(redis, owner, job_id)
    if await records.cancel(redis, job_id) == (0, 0):
        raise AlreadyFinished("All images of this job have ended; there is nothing to cancel.")
    return await job_reads.read_job(redis, job_id)


async def retry(
    redis: Redis,
    owner: str,
    job_id: str,
    image_ids: Sequence[str] | None,
    params: dict[str, object] | None,
    allowance: Allowance | None = None,
) -> JobSnapshot:
    """Run failed images again: those of `image_ids`, or all; with `params` in place of the job's.

    Each is paid for again, so the allowance must suffice. Raises NotFound, Expired, InvalidParameter,
    AlreadyFinished where none of them has failed, BudgetExceeded, QueueFull.
    """
    access = await lookup.access(redis, owner, job_id)
    before = await job_reads.read_job(redis, job_id)
    _check_ids(before, image_ids)
    checked = None if params is None else normalise(endpoint_of(before.job.model), params)
    retried = await records.retry(
        redis,
        job_id,
        image_ids,
        None if checked is None else dict(checked),
        low_priority=access.low_priority,
        unit_micro=None if checked is None else endpoint_of(before.job.model).reservation(checked),
        allowance=allowance,
    )
    if not retried:
        raise AlreadyFinished("None of these images has failed; there is nothing to run again.")
    return await job_reads.read_job(redis, job_id)


async def refresh_files(redis: Redis, owner: str, job_id: str, image_id: str) -> JobSnapshot:
    """Queue another fetch of the files that were missing when this image succeeded, if there are any.

    Nothing is bought. Raises NotFound, Expired, NotReady for an image that has not succeeded.
    """
    await lookup.access(redis, owner, job_id)
    job = await job_reads.read_job(redis, job_id)
    row = next((image for image in job.images if image.image_id == image_id), None)
    if row is None:
        raise NotFound("This job has no such image.")
    if row.status is not ImageStatus.SUCCEEDED or row.result is None:
        raise NotReady(f"This image is {row.status}. Only a succeeded image has files that may be missing.")
    if row.result.missing:
        await reconciliation.enqueue_once(
            redis, Queue.BATCH, f"refresh:{image_id}", "refresh_files", image_id
        )
    return job


async def delete(redis: Redis, owner: str, job_id: str, *, keep_ms: int | None = None) -> None:
    """From now on the job does not exist. A worker erases it once nothing of it runs. Raises NotFound.

    `keep_ms`: see `records.cancel`.
    """
    await lookup.access(redis, owner, job_id)
    await records.cancel(redis, job_id, delete=True, keep_ms=keep_ms)


def _check_ids(job: JobSnapshot, image_ids: Sequence[str] | None) -> None:
    if image_ids is None:
        return
    if not image_ids:
        raise InvalidParameter("`image_ids` is empty. Leave it out to run every failed image again.")
    unknown = set(image_ids) - {image.image_id for image in job.images}
    if unknown:
        named = ", ".join(sorted(repr(name[:64]) for name in unknown)[:5])
        raise InvalidParameter(f"`image_ids` names images that this job does not have: {named}")


async def erase_if_deleted(redis: Redis, storage: ObjectStorage, job_id: str) -> bool:
    """Erase the job if it was deleted and all of it has ended. Returns whether it was.

    Raises StoreOutage and StorageError: then nothing is lost, and the next call continues.
    """
    if not await job_reads.may_be_erased(redis, job_id):
        return False
    for prefix in layout.job_prefixes(job_id):
        await storage.delete_prefix(prefix)
    await records.erase(redis, job_id)
    return True
