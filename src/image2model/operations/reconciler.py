"""The reconciler: a maintenance task that compares every unfinished job with the queue and repairs both.

It also releases permits and money that nothing uses, finishes deletions, and settles jobs that ended a while
ago. One job that cannot be repaired does not stop the others.
"""

import time
from typing import Final

import structlog
from redis.asyncio import Redis

from image2model.generation import costs
from image2model.generation.context import GenerationContext
from image2model.jobs import reservations
from image2model.jobs.lifecycle import erase_if_deleted
from image2model.operations.settling import settle_jobs
from image2model.queue import reconciliation
from image2model.queue.running import RunningTask
from image2model.storage.errors import StorageError
from image2model.store.connection import StoreOutage
from image2model.store.keys import Queue
from image2model.telemetry.unexpected import report_unexpected

_log: Final = structlog.stdlib.get_logger(__name__)

RECONCILE_S: Final = 60.0


async def reconcile(context: GenerationContext, _running: RunningTask, _nothing: str) -> None:
    """Compare every unfinished job with the queue and repair both. After an outage the next run continues."""
    try:
        await _reconcile(context)
    except StoreOutage as error:
        _log.warning("reconcile_failed", reason=str(error))


async def _reconcile(context: GenerationContext) -> None:
    await reconciliation.renew_ttls(context.redis)
    if settled := await reservations.settle_abandoned(context.redis):
        _log.info("reservations_settled", count=settled)
    if released := await costs.release_holds(context.redis):
        _log.info("holds_released", count=released)
    repaired = await reconciliation.release_unused_permits(
        context.redis
    ) + await reconciliation.release_unused_addresses(context.redis)
    for job_id in await reconciliation.unfinished_jobs(context.redis):
        repaired += await _repair(context.redis, job_id)
    for job_id in await reconciliation.deleted_jobs(context.redis):
        await _erase(context, job_id)
    await settle_jobs(context.redis)
    if repaired:
        _log.warning("store_repaired", count=repaired)


async def _repair(redis: Redis, job_id: str) -> int:
    """Repair one job; report an unexpected error and go on with the others."""
    try:
        return await reconciliation.repair(redis, job_id)
    except StoreOutage:
        raise
    except Exception as error:  # noqa: BLE001 - reported; the next reconciliation tries again
        report_unexpected("reconcile", error, job_id=job_id)
        return 0


async def _erase(context: GenerationContext, job_id: str) -> None:
    """Erase a deleted job; a storage failure leaves it to the next run."""
    try:
        await erase_if_deleted(context.redis, context.storage, job_id)
    except StorageError as error:
        _log.warning("deleted_job_not_erased", job_id=job_id, error=str(error))


async def schedule_reconcile(redis: Redis, *, at_start: bool) -> None:
    """Queue the next reconciliation: one a minute for the whole fleet, and one at the start of a worker."""
    window = int(time.time() / RECONCILE_S) + 1
    due = 0 if at_start else int(window * RECONCILE_S * 1000)
    task_id = f"reconcile:start:{window}" if at_start else f"reconcile:{window}"
    await reconciliation.enqueue_once(redis, Queue.MAINTENANCE, task_id, "reconcile", "", due_ms=due)
