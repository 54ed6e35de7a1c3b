"""The task `finish_batch`: the last image of a job has ended."""

import time

from image2model.service import webhooks
from image2model.service.erase import erase_if_deleted
from image2model.telemetry import metrics
from image2model.worker.deliver import UNEXPECTED
from image2model.worker.generation_context import GenerationContext
from image2model.worker.running import RunningTask


async def finish_batch(context: GenerationContext, running: RunningTask, job_id: str) -> None:
    """The last image of a job has ended: its webhook is announced; a deleted job is erased, files and all.

    Raises StoreOutage, StorageError: the announcement must not be lost.
    """
    started = time.monotonic()
    if (version := _version_of(running)) is not None:
        await webhooks.announce(context.redis, job_id, version)
    await erase_if_deleted(context.redis, context.storage, job_id)
    metrics.TASK_DURATION.labels("process_batch", "succeeded").observe(time.monotonic() - started)


async def announce_as_failed(context: GenerationContext, running: RunningTask, job_id: str) -> None:
    """The webhook of a job whose batch could not be finished: failed, to be replayed, unless it is open.

    A deleted job's files are erased by the next reconciliation.
    """
    if (version := _version_of(running)) is not None:
        await webhooks.announce(context.redis, job_id, version, failed=UNEXPECTED)


def _version_of(running: RunningTask) -> int | None:
    """The job's version at its end; a job that is deleted after its end has nothing to announce."""
    version = running.task_id.rpartition(":")[2]
    return int(version) if version.isdigit() else None
