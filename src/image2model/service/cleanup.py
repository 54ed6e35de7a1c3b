"""Takes away what is over: expired jobs with their files, and files that belong to nobody.

Who calls it: the worker's maintenance. It may stop anywhere and run again, and it never touches what
lives: each job's death is checked in the step that erases it, and a file counts as nobody's only when its
image does not exist and nothing of its job has been written for an hour.
"""

import time
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Final

from redis.asyncio import Redis

from image2model.storage import layout
from image2model.storage.objects import ObjectStorage
from image2model.storage.reader import ObjectMeta
from image2model.store import expiry

ORPHAN_SECONDS: Final = 3600.0
_JOBS: Final = 200
_PAGE: Final = 500


async def erase_expired(redis: Redis, storage: ObjectStorage) -> int:
    """Erase every job that is past its end; returns how many. Raises StoreOutage, StorageError."""
    erased = 0
    now_ms = int(time.time() * 1000)
    while found := await expiry.expired_jobs(redis, now_ms, _JOBS):
        for job_id in found:
            if await expiry.erase(redis, job_id):
                for prefix in layout.job_prefixes(job_id):
                    await storage.delete_prefix(prefix)
                erased += 1
            # one that lives after all was opened again: its place here is set when it ends
            await expiry.forget(redis, job_id)
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
    living = await expiry.living(redis, sorted({owner.image_id for owner, _ in known}))
    return [(owner.job_id, found) for owner, found in known if owner.image_id not in living]
