"""What a client may do to an existing job: cancel it, retry failed images, refresh its files, delete it.

Each checks that the job is the caller's before anything else. The checks of a retry may be outdated when its
script runs, which decides by the job as it is then.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from redis.asyncio import Redis

from image2model.access import lookup
from image2model.catalogue import offer
from image2model.catalogue.live import LiveCatalogue
from image2model.catalogue.offer import Patterns
from image2model.domain import ImageStatus
from image2model.errors import (
    AlreadyFinished,
    BudgetExceeded,
    InvalidParameter,
    NotFound,
    NotReady,
    PriceUnknown,
)
from image2model.fal.endpoints import Endpoint, Json, check_step_params, check_views, normalise
from image2model.jobs import records
from image2model.jobs.records import SeededParams
from image2model.money import to_usd
from image2model.queue import reconciliation
from image2model.storage import layout
from image2model.storage.objects import ObjectStorage
from image2model.store import job_reads
from image2model.store.keys import Queue
from image2model.store.records import JobSnapshot

if TYPE_CHECKING:  # it loads the HTTP server's types, which a worker does not need
    from image2model.access.principal import Principal


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
    catalogue: LiveCatalogue,
    service: Patterns,
    principal: "Principal",
    job_id: str,
    image_ids: Sequence[str] | None,
    params: dict[str, object] | None,
) -> JobSnapshot:
    """Run failed images again: those of `image_ids`, or all; with `params` in place of the job's.

    Each is paid for again, so the allowance and the job's `max_cost_usd` must suffice, and its model must
    still be on offer. Raises NotFound, Expired, InvalidParameter, UnknownModel, Forbidden, PriceUnknown,
    AlreadyFinished where none of them has failed, BudgetExceeded, QueueFull.
    """
    access = await lookup.access(redis, principal.owner, job_id)
    before = await job_reads.read_job(redis, job_id)
    _check_ids(before, image_ids)
    endpoint = await catalogue.find(before.job.model)
    second_step = any(image.parent_image_id for image in before.images)
    require = offer.require_second_step if second_step else offer.require
    require(endpoint, service, principal)
    checked, unit_micro, own = None, None, None
    if params is not None:
        checked = normalise(endpoint, params)
        if second_step:
            check_step_params(endpoint, checked)
        else:
            _check_views(before, image_ids, endpoint, checked)
        unit_micro = await _price_again(redis, before, endpoint, checked)
        own = _with_seeds(before, endpoint, checked)
    retried = await records.retry(
        redis,
        job_id,
        image_ids,
        None if checked is None else dict(checked),
        low_priority=access.low_priority,
        unit_micro=unit_micro,
        allowance=principal.allowance,
        own=own,
    )
    if not retried:
        raise AlreadyFinished("None of these images has failed; there is nothing to run again.")
    return await job_reads.read_job(redis, job_id)


def _with_seeds(job: JobSnapshot, endpoint: Endpoint, params: dict[str, Json]) -> dict[str, SeededParams]:
    """Parameters of a retry for each variant: it keeps its seed, unless they name one."""
    name = endpoint.seed_param
    given = params.get(name) if name is not None else None
    found = {}
    for image in job.images:
        if image.variant is None:
            continue
        if name is None or isinstance(given, int):
            found[image.image_id] = SeededParams(params, given if isinstance(given, int) else None)
        elif image.seed is not None:
            own = dict(sorted({**params, name: image.seed}.items()))
            found[image.image_id] = SeededParams(own, image.seed)
    return found


async def _price_again(
    redis: Redis, job: JobSnapshot, endpoint: Endpoint, params: Mapping[str, Json]
) -> int | None:
    """What to set aside for each image with other parameters; None: as before, under `max_cost_usd`.

    Raises PriceUnknown, and BudgetExceeded where one image would cost more than its share.
    """
    each, limit = endpoint.reservation(params), await records.max_cost(redis, job.job_id)
    share = None if limit is None else limit // max(1, job.job.total)
    if not each and endpoint.price(params) is None:
        if share is None:
            raise PriceUnknown(
                f"Nobody can say before the run what {endpoint.id} costs with these parameters. Upload the "
                "pictures again with `max_cost_usd`."
            )
        return share
    if share is not None and each > share:
        raise BudgetExceeded(
            f"With these parameters a picture costs ${to_usd(each):.2f}, more than its share of the job's "
            f"`max_cost_usd`, ${to_usd(share):.2f}. Upload it again with a higher one."
        )
    return each


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


def _check_views(
    job: JobSnapshot, image_ids: Sequence[str] | None, endpoint: Endpoint, params: Mapping[str, Json]
) -> None:
    """Raises InvalidParameter where a parameter holds a view that an object has, as an upload does."""
    for image in job.images:
        chosen = image.status is ImageStatus.FAILED and (image_ids is None or image.image_id in image_ids)
        if chosen and image.views:
            check_views(endpoint, image.filename, [view.side for view in image.views], params)


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
