"""The tasks beside the pictures: finish a batch, mend the store, erase what was deleted or is over.

Who calls it: ARQ, from the queues `batch_processing` and `maintenance`.
"""

import time
from typing import Final

import structlog
from redis.asyncio import Redis

from image2model.service import cleanup as house_cleaning
from image2model.service import webhooks
from image2model.service.erase import erase_if_deleted
from image2model.storage.errors import StorageError
from image2model.store import costs, expiry, upkeep
from image2model.store.connection import StoreOutage
from image2model.store.keys import Queue
from image2model.telemetry import metrics
from image2model.telemetry.unexpected import tell_unexpected
from image2model.worker.context import WorkerContext
from image2model.worker.deliver import UNEXPECTED
from image2model.worker.running import RunningTask

_log = structlog.get_logger("worker.house")

RECONCILE_S: Final = 60.0
CLEANUP_S: Final = 600.0
_ORPHANS_EVERY: Final = 6
"""Of so many cleanups one looks through the whole storage."""
EVERYTHING: Final = "everything"
SLOWEST_UPLOAD: Final = 16 << 10
"""Bytes a second below which the API cuts a sender off."""


async def finish_batch(context: WorkerContext, running: RunningTask, job_id: str) -> None:
    """The last image of a job has ended: its webhook is announced; a deleted job is erased, files and all.

    Raises StoreOutage, StorageError: the announcement must not be lost.
    """
    started = time.monotonic()
    if (version := _version_of(running)) is not None:
        await webhooks.announce(context.redis, job_id, version)
    await erase_if_deleted(context.redis, context.storage, job_id)
    metrics.TASK_DURATION.labels("process_batch", "succeeded").observe(time.monotonic() - started)


async def announce_as_failed(context: WorkerContext, running: RunningTask, job_id: str) -> None:
    """The webhook of a job whose batch could not be finished: failed, to be replayed, unless it is open.

    A deleted job's files are erased by the next reconciliation.
    """
    if (version := _version_of(running)) is not None:
        await webhooks.announce(context.redis, job_id, version, failed=UNEXPECTED)


def _version_of(running: RunningTask) -> int | None:
    """The job's version at its end; a job that is deleted after its end has nothing to announce."""
    version = running.task_id.rpartition(":")[2]
    return int(version) if version.isdigit() else None


async def reconcile(context: WorkerContext, _running: RunningTask, _nothing: str) -> None:
    """Compare every unfinished job with the queue and repair either. An outage leaves it to the next one."""
    try:
        await _reconcile(context)
    except StoreOutage as error:
        _log.warning("not_reconciled", reason=str(error))


async def _reconcile(context: WorkerContext) -> None:
    await upkeep.renew_lives(context.redis)
    if released := await costs.release_holds(context.redis):
        _log.info("holds_released", count=released)
    mended = await upkeep.free_places(context.redis) + await upkeep.free_addresses(context.redis)
    for job_id in await upkeep.unfinished_jobs(context.redis):
        mended += await _repaired(context.redis, job_id)
    for job_id in await upkeep.deleted_jobs(context.redis):
        await _erase(context, job_id)
    if mended:
        _log.warning("the reconciler mended the store", count=mended)


async def _repaired(redis: Redis, job_id: str) -> int:
    """One job that cannot be repaired does not keep the others."""
    try:
        return await upkeep.repair(redis, job_id)
    except StoreOutage:
        raise
    except Exception as error:  # noqa: BLE001 - told; the next reconciliation looks at it again
        tell_unexpected("reconcile", error, job_id=job_id)
        return 0


async def _erase(context: WorkerContext, job_id: str) -> None:
    """One job whose files cannot be deleted just now does not keep the others."""
    try:
        await erase_if_deleted(context.redis, context.storage, job_id)
    except StorageError as error:
        _log.warning("could not erase a deleted job, again later", job_id=job_id, error=str(error))


async def schedule_reconcile(redis: Redis, *, at_start: bool) -> None:
    """Queue the next reconciliation: one a minute for the whole fleet, and one at a start."""
    window = int(time.time() / RECONCILE_S) + 1
    due = 0 if at_start else int(window * RECONCILE_S * 1000)
    task_id = f"reconcile:start:{window}" if at_start else f"reconcile:{window}"
    await upkeep.enqueue_once(redis, Queue.MAINTENANCE, task_id, "reconcile", "", due_ms=due)


async def cleanup(context: WorkerContext, _running: RunningTask, scope: str) -> None:
    """Erase expired jobs; with the scope `everything` also files that belong to nobody."""
    started = time.monotonic()
    outcome = "failed"
    try:
        await _clean(context, orphans=scope == EVERYTHING)
        outcome = "succeeded"
    except (StoreOutage, StorageError) as error:
        _log.warning("not_cleaned_up", reason=str(error))  # the next one does it
    finally:
        metrics.TASK_DURATION.labels("cleanup", outcome).observe(time.monotonic() - started)


async def _clean(context: WorkerContext, *, orphans: bool) -> None:
    redis, storage = context.redis, context.storage
    expired = await house_cleaning.erase_expired(redis, storage)
    pruned = await expiry.prune_owners(redis)
    files = staged = 0
    if orphans:
        # one file may be on its way for as long as the slowest sender that is let through takes
        patience = max(house_cleaning.ORPHAN_SECONDS, 2 * context.settings.max_file_bytes / SLOWEST_UPLOAD)
        files = await house_cleaning.erase_orphans(redis, storage, older_than_s=patience)
        staged = await storage.sweep_staged()
    if expired or pruned or files or staged:
        _log.info("cleaned up", jobs=expired, entries=pruned, files=files, staged=staged)


async def schedule_cleanup(redis: Redis) -> None:
    """Queue the next cleanup: one every 10 minutes for the whole fleet, through all files once an hour."""
    window = int(time.time() / CLEANUP_S) + 1
    scope = EVERYTHING if window % _ORPHANS_EVERY == 0 else ""
    due = int(window * CLEANUP_S * 1000)
    await upkeep.enqueue_once(redis, Queue.MAINTENANCE, f"cleanup:{window}", "cleanup", scope, due_ms=due)
