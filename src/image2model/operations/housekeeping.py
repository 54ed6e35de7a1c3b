"""Housekeeping: erases expired jobs, entries of owners without jobs, and files of images that do not exist.

`cleanup` is a task of the queue `maintenance`. Every function here may run twice, or on several workers at
once. Never delete a file that may belong to an upload under way.
"""

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import structlog
from redis.asyncio import Redis

from image2model.generation.context import GenerationContext
from image2model.jobs.lists import read_entry, unlist
from image2model.queue import reconciliation
from image2model.queue.running import RunningTask
from image2model.storage import layout
from image2model.storage.errors import StorageError
from image2model.storage.layout import Owner
from image2model.storage.objects import ObjectMeta, ObjectStorage
from image2model.store.connection import StoreOutage, command
from image2model.store.keys import Queue, key
from image2model.store.scripts import Script
from image2model.telemetry import metrics

_log: Final = structlog.stdlib.get_logger(__name__)
_ERASE: Final = Script("operations/erase_expired")
_PRUNE: Final = Script("operations/prune_owner")
_PAGE: Final = 500
ORPHAN_SECONDS: Final = 3600.0
_JOBS: Final = 200
CLEANUP_S: Final = 600.0
_ORPHANS_EVERY: Final = 6
"""One of so many cleanups scans the whole storage."""
ALL_FILES: Final = "everything"
SLOWEST_UPLOAD_BYTES_S: Final = 16 << 10
"""Bytes per second below which the API stops an upload."""


async def cleanup(context: GenerationContext, _running: RunningTask, scope: str) -> None:
    """Erase expired jobs; with the scope `everything` also files without an image."""
    started = time.monotonic()
    outcome = "failed"
    try:
        await _clean(context, orphans=scope == ALL_FILES)
        outcome = "succeeded"
    except (StoreOutage, StorageError) as error:
        _log.warning("cleanup_failed", reason=str(error))  # the next cleanup tries again
    finally:
        metrics.TASK_DURATION.labels("cleanup", outcome).observe(time.monotonic() - started)


async def _clean(context: GenerationContext, *, orphans: bool) -> None:
    redis, storage = context.redis, context.storage
    expired = await erase_expired(redis, storage)
    pruned = await prune_owners(redis)
    files = staged = 0
    if orphans:
        # a file may be under way for as long as the slowest permitted upload takes
        age_s = max(ORPHAN_SECONDS, 2 * context.settings.max_file_bytes / SLOWEST_UPLOAD_BYTES_S)
        files = await erase_orphans(redis, storage, older_than_s=age_s)
        staged = await storage.sweep_staged()
    if expired or pruned or files or staged:
        _log.info("cleaned_up", jobs=expired, entries=pruned, files=files, staged=staged)


async def schedule_cleanup(redis: Redis) -> None:
    """Queue the next cleanup: one every 10 minutes for the whole fleet, once an hour with all files."""
    window = int(time.time() / CLEANUP_S) + 1
    scope = ALL_FILES if window % _ORPHANS_EVERY == 0 else ""
    due = int(window * CLEANUP_S * 1000)
    await reconciliation.enqueue_once(
        redis, Queue.MAINTENANCE, f"cleanup:{window}", "cleanup", scope, due_ms=due
    )


async def erase_expired(redis: Redis, storage: ObjectStorage) -> int:
    """Erase every expired job and its files; return how many. Raises StoreOutage, StorageError."""
    erased = 0
    now_ms = int(time.time() * 1000)
    while found := await expired_jobs(redis, now_ms, _JOBS):
        for job_id in found:
            if await erase(redis, job_id):
                for prefix in layout.job_prefixes(job_id):
                    await storage.delete_prefix(prefix)
                erased += 1
            # a job that has not expired was reopened; it is listed again when it finishes
            await forget(redis, job_id)
    return erased


async def erase_orphans(redis: Redis, storage: ObjectStorage, *, older_than_s: float = ORPHAN_SECONDS) -> int:
    """Delete files of images that do not exist; return how many. Raises StoreOutage, StorageError.

    An upload under way has files but no job yet, so the newest file of a job must be older than
    `older_than_s`. Files with names that are not ours are never deleted.
    """
    orphans: defaultdict[str, list[ObjectMeta]] = defaultdict(list)
    for root in layout.ROOTS:
        async for page in _pages(storage.list(root)):
            for job_id, file in await _orphaned(redis, page):
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


async def _orphaned(redis: Redis, page: list[ObjectMeta]) -> list[tuple[str, ObjectMeta]]:
    owners = [(layout.owner_of(found.key), found) for found in page]
    known = [(owner, found) for owner, found in owners if owner is not None]
    holders = {_holder(owner) for owner, _ in known}
    existing = await _existing(redis, sorted(holders))
    return [(owner.job_id, found) for owner, found in known if _holder(owner) not in existing]


def _holder(owner: Owner) -> tuple[str, str]:
    """The record without which a file is an orphan: its image; a picture's job, as an image may have many."""
    return ("job", owner.job_id) if owner.root == layout.ORIGINALS else ("image", owner.image_id)


async def prune_owners(redis: Redis, *, older_than_s: float = ORPHAN_SECONDS) -> int:
    """Remove entries of jobs that do not exist from their owners' lists; return how many.

    Entries are older than `older_than_s`: the job of a new one may just be made.
    """
    pruned, latest = 0, int((time.time() - older_than_s) * 1000)
    for name in await command(redis, "SMEMBERS", key("owners")):
        owner = name.decode()
        async for entries in _gone(redis, key("owner_metadata", owner), read_entry, latest):
            await _PRUNE.packed(redis, owner, (), entries)
            pruned += len(entries)
        async for job_ids in _gone(redis, key("owner_jobs", owner), None, latest):
            await _PRUNE.packed(redis, owner, job_ids, ())
            await command(redis, "SREM", key("owner_active", owner), *job_ids)
            pruned += len(job_ids)
    return pruned


async def _gone(
    redis: Redis, listed: str, read: Callable[[str], tuple[int, str]] | None, latest: int
) -> AsyncIterator[list[str]]:
    """The entries up to a time whose jobs do not exist, page by page. The caller removes each page.

    `read` finds time and job in an entry; without it the entry is the job, and its score the time.
    """
    start, looked_at = 0, _PAGE
    while looked_at == _PAGE:
        page = await redis.zrange(listed, start, start + _PAGE - 1, withscores=True)
        entries = {}
        for name, score in page:
            entry = name.decode()
            at, job_id = read(entry) if read else (score, entry)
            if at <= latest:
                entries[entry] = ("job", job_id)
        existing = await _existing(redis, list(entries.values()))
        gone = [entry for entry, holder in entries.items() if holder not in existing]
        if gone:
            yield gone
        looked_at = len(page)
        start += looked_at - len(gone)


async def expired_jobs(redis: Redis, now_ms: int, limit: int) -> list[str]:
    """Ids of expired jobs whose files may still exist, the longest expired first."""
    found = await command(redis, "ZRANGEBYSCORE", key("ended"), "-inf", now_ms, "LIMIT", 0, limit)
    return [job.decode() for job in found]


async def erase(redis: Redis, job_id: str) -> bool:
    """Erase an expired job in the store, except what a 410 needs; False if it has not expired."""
    if not await _ERASE(redis, job_id):
        return False
    await unlist(redis, job_id)
    return True


async def forget(redis: Redis, job_id: str) -> None:
    """Remove a job from the list of jobs to erase."""
    await command(redis, "ZREM", key("ended"), job_id)


async def _existing(redis: Redis, holders: Sequence[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """Those that exist, of these records."""
    pipe = redis.pipeline(transaction=False)
    for kind, name in holders:
        pipe.exists(key(kind, name))
    found = await pipe.execute() if holders else []
    return frozenset(holder for holder, there in zip(holders, found, strict=True) if there)
