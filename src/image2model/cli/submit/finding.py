"""Finds the job of an upload whose answer was lost, in the service's list of jobs.

Who calls it: the sender, once the upload cannot be sent again under its key, and the quote.
"""

import time
from collections.abc import Collection
from datetime import datetime
from typing import Final

from image2model.client import AsyncClient
from image2model.client.documents import Job

_CLOCKS_APART: Final = 3600.0


async def find_job(client: AsyncClient, hashes: Collection[str], *, since: float) -> str | None:
    """The latest job of these pictures, made after `since`; None: there is none. Raises ClientError."""
    cursor: str | None = None
    while True:
        page = await client.jobs(cursor=cursor)
        for head in page.jobs:
            if _created(head) < since - _CLOCKS_APART:
                return None
            if head.total <= len(hashes) and await _holds(client, head.job_id, hashes):
                return head.job_id
        if (cursor := page.next_cursor) is None:
            return None


async def _holds(client: AsyncClient, job_id: str, hashes: Collection[str]) -> bool:
    images = (await client.job(job_id)).images
    return bool(images) and all(image.sha256 in hashes for image in images)


def _created(job: Job) -> float:
    return datetime.fromisoformat(job.created_at).timestamp() if job.created_at else time.time()
