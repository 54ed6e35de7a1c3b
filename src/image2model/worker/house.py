"""The tasks beside the pictures: finish a batch, mend the store, erase what was deleted.

Who calls it: ARQ, from the queues `batch_processing` and `maintenance`.
"""

import time
from typing import Final

import structlog
from arq.worker import Retry
from redis.asyncio import Redis
from redis.exceptions import RedisError

from image2model.service import webhooks
from image2model.service.erase import erase_if_deleted
from image2model.store import upkeep
from image2model.store.keys import Queue
from image2model.telemetry import metrics
from image2model.worker.context import WorkerContext
from image2model.worker.deliver import STORE_AWAY_S
from image2model.worker.running import RunningTask

_log = structlog.get_logger("worker.house")

RECONCILE_S: Final = 60.0


async def finish_batch(context: WorkerContext, running: RunningTask, job_id: str) -> None:
    """The last image of a job has ended: its webhook is announced; a deleted job is erased, files and all.

    Raises arq.Retry without a store: the announcement must not be lost.
    """
    started = time.monotonic()
    version = running.task_id.rpartition(":")[2]
    if version.isdigit():  # a job that is deleted after its end has nothing to announce
        await _announce(context.redis, job_id, int(version))
    await erase_if_deleted(context.redis, context.storage, job_id)
    metrics.TASK_DURATION.labels("process_batch", "succeeded").observe(time.monotonic() - started)


async def _announce(redis: Redis, job_id: str, version: int) -> None:
    try:
        await webhooks.announce(redis, job_id, version)
    except (RedisError, OSError) as error:
        _log.warning("the store does not answer, the batch waits", job_id=job_id, error=str(error))
        raise Retry(defer=STORE_AWAY_S) from error


async def reconcile(context: WorkerContext, _running: RunningTask, _nothing: str) -> None:
    """Compare every unfinished job with the queue and mend either; then queue itself for later."""
    mended = 0
    for job_id in await upkeep.unfinished_jobs(context.redis):
        mended += await upkeep.repair(context.redis, job_id)
    for job_id in await upkeep.deleted_jobs(context.redis):
        await erase_if_deleted(context.redis, context.storage, job_id)
    await upkeep.renew_lives(context.redis)
    if mended:
        _log.warning("the reconciler mended the store", count=mended)


async def schedule_reconcile(redis: Redis, *, at_start: bool) -> None:
    """Queue the next reconciliation: one a minute for the whole fleet, and one at a start."""
    window = int(time.time() / RECONCILE_S) + 1
    due = 0 if at_start else int(window * RECONCILE_S * 1000)
    task_id = f"reconcile:start:{window}" if at_start else f"reconcile:{window}"
    await upkeep.enqueue_once(redis, Queue.MAINTENANCE, task_id, "reconcile", "", due_ms=due)
