"""What a finished job keeps: its document, and for a while the history of how it came about.

A client that lost its connection resumes within minutes. For days, the history of each image would be more
than the image itself. So it is cut off, with what served only to make the model, and a late client begins
again with a snapshot.
"""

from typing import Final

from redis.asyncio import Redis

from image2model.store.scripts import Script

_SETTLE: Final = Script("operations/settle_jobs")
HISTORY_S: Final = 600.0
"""How long after its end a job's whole history is kept."""
_JOBS: Final = 20
"""Jobs in one call, so that no call holds the store up for long."""


async def settle_jobs(redis: Redis, *, older_than_s: float = HISTORY_S) -> int:
    """Settle every job that ended `older_than_s` seconds ago or earlier; return how many.

    Raises StoreOutage.
    """
    settled = 0
    while found := int(await _SETTLE.packed(redis, int(older_than_s * 1000), _JOBS)):
        settled += found
    return settled
