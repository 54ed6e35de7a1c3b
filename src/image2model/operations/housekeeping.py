"""What is over: jobs past their end of life, owners without jobs, images that no longer exist.

Who calls it: the cleanup. Every function may run twice, or on several workers at once.
"""

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.generation.context import GenerationContext
from image2model.queue import reconciliation
from image2model.queue.running import RunningTask
from image2model.storage import layout
from image2model.storage.errors import StorageError
from image2model.storage.objects import ObjectMeta, ObjectStorage
from image2model.store.connection import StoreOutage, command
from image2model.store.keys import Queue, key
from image2model.store.scripts import Script
from image2model.telemetry import metrics

_ERASE: Final = Script("operations/erase_expired")
_PRUNE: Final = Script("operations/prune_owner")
_PAGE: Final = 500
_pair = msgspec.msgpack.Decoder(tuple[int, int])


async def expired_jobs(redis: Redis, now_ms: int, limit: int) -> list[str]:
    """Ids of jobs whose life has ended and whose files may still be there, the longest dead first."""
    found = await command(redis, "ZRANGEBYSCORE", key("ended"), "-inf", now_ms, "LIMIT", 0, limit)
    return [job.decode() for job in found]


async def erase(redis: Redis, job_id: str) -> bool:
    """Erase what an expired job has in the store, but for its head; False: it lives, touch nothing."""
    return bool(await _ERASE(redis, job_id))


async def forget(redis: Redis, job_id: str) -> None:
    """Its files are gone as well: nothing more is to be done."""
    await command(redis, "ZREM", key("ended"), job_id)


async def prune_owners(redis: Redis) -> int:
    """Take jobs that no longer exist out of their owners' lists; returns how many."""
    pruned = 0
    for owner in await command(redis, "SMEMBERS", key("owners")):
        start, looked_at = 0, _PAGE
        while looked_at == _PAGE:
            looked_at, gone = _pair.decode(await _PRUNE.packed(redis, owner.decode(), start, _PAGE))
            start += looked_at - gone
            pruned += gone
    return pruned


async def living_images(redis: Redis, image_ids: Sequence[str]) -> frozenset[str]:
    """Those of the images that exist."""
    pipe = redis.pipeline(transaction=False)
    for image_id in image_ids:
        pipe.exists(key("image", image_id))
    found = await pipe.execute() if image_ids else []
    return frozenset(image_id for image_id, there in zip(image_ids, found, strict=True) if there)


ORPHAN_SECONDS: Final = 3600.0
_JOBS: Final = 200


async def erase_expired(redis: Redis, storage: ObjectStorage) -> int:
    """Erase every job that is past its end; returns how many. Raises StoreOutage, StorageError."""
    erased = 0
    now_ms = int(time.time() * 1000)
    while found := await expired_jobs(redis, now_ms, _JOBS):
        for job_id in found:
            if await erase(redis, job_id):
                for prefix in layout.job_prefixes(job_id):
                    await storage.delete_prefix(prefix)
                erased += 1
            # one that lives after all was opened again: its place here is set when it ends
            await forget(redis, job_id)
    return erased


async def erase_orphans(redis: Redis, storage: ObjectStorage, *, older_than_s: float = ORPHAN_SECONDS) -> int:
    """Delete files of images that do not exist; returns how many.

    An upload under way has files and no job yet: what counts is the newest file of a job. Names that
    the layout never made are left alone.
    """
    orphans: defaultdict[str, list[ObjectMeta]] = defaultdict(list)
    for root in layout.ROOTS:
        async for page in _pages(storage.list(root)):
            for job_id, file in await _without_image(redis, page):
                orphans[job_id].append(file)
    deleted = 0
    latest = time.time() - older_than_s
    for files in orphans.values():
        if max(file.modified.timestamp() for file in files) < latest:
            await storage.delete([file.key for file in files])
            deleted += len(files)
    return deleted


async def _pages(listing: AsyncIterator[ObjectMeta]) -> AsyncIterator[list[ObjectMeta]]:
    page: list[ObjectMeta] = []
    async for found in listing:
        page.append(found)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page


async def _without_image(redis: Redis, page: list[ObjectMeta]) -> list[tuple[str, ObjectMeta]]:
    owners = [(layout.owner_of(found.key), found) for found in page]
    known = [(owner, found) for owner, found in owners if owner is not None]
    living = await living_images(redis, sorted({owner.image_id for owner, _ in known}))
    return [(owner.job_id, found) for owner, found in known if owner.image_id not in living]


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
    expired = await erase_expired(redis, storage)
    pruned = await prune_owners(redis)
    files = staged = 0
    if orphans:
        # one file may be on its way for as long as the slowest sender that is let through takes
        patience = max(ORPHAN_SECONDS, 2 * context.settings.max_file_bytes / SLOWEST_UPLOAD)
        files = await erase_orphans(redis, storage, older_than_s=patience)
        staged = await storage.sweep_staged()
    if expired or pruned or files or staged:
        _log.info("cleaned_up", jobs=expired, entries=pruned, files=files, staged=staged)


async def schedule_cleanup(redis: Redis) -> None:
    """Queue the next cleanup: one every 10 minutes for the whole fleet, through all files once an hour."""
    window = int(time.time() / CLEANUP_S) + 1
    scope = EVERYTHING if window % _ORPHANS_EVERY == 0 else ""
    due = int(window * CLEANUP_S * 1000)
    await reconciliation.enqueue_once(
        redis, Queue.MAINTENANCE, f"cleanup:{window}", "cleanup", scope, due_ms=due
    )
