"""Cleanup: erases expired jobs, and files that belong to nobody. A task of the queue `maintenance`."""

import time
from typing import Final

import structlog
from redis.asyncio import Redis

from image2model.service import cleanup as house_cleaning
from image2model.storage.errors import StorageError
from image2model.store import expiry, upkeep
from image2model.store.connection import StoreOutage
from image2model.store.keys import Queue
from image2model.telemetry import metrics
from image2model.worker.generation_context import GenerationContext
from image2model.worker.running import RunningTask

_log = structlog.get_logger("worker.house")

CLEANUP_S: Final = 600.0
_ORPHANS_EVERY: Final = 6
"""Of so many cleanups one looks through the whole storage."""
EVERYTHING: Final = "everything"
SLOWEST_UPLOAD: Final = 16 << 10
"""Bytes a second below which the API cuts a sender off."""


async def cleanup(context: GenerationContext, _running: RunningTask, scope: str) -> None:
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


async def _clean(context: GenerationContext, *, orphans: bool) -> None:
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
