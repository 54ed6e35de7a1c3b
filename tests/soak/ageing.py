"""Lets half an hour age the store as weeks would: full histories, frequent cleanups, a day cut short.

Who calls it: the driver. The service bounds what it keeps by a count or by a day. Until these bounds are
reached the store grows, and rightly; so they are reached before the readings count.
"""

import asyncio
import itertools
from typing import Final

from redis.asyncio import Redis

from image2model.queue.reconciliation import enqueue_once
from image2model.store.keys import Queue, key
from tests.chaos.streams import OWNER_HISTORY

_EVERY_S: Final = 20.0
_GRACE_MS: Final = 86_400_000
"""How long the service keeps tombstones."""
_CHUNK: Final = 1000
_TOMBSTONES: Final = (key("booked", "*"), key("job", "*"))
"""What is left of an erased image, and of an expired job, for a day."""


async def fill_history(redis: Redis, owner: str) -> None:
    """Give an owner as many events as its stream keeps. They are of a job that is gone."""
    for start in range(1, OWNER_HISTORY + 1, _CHUNK):
        pipe = redis.pipeline(transaction=False)
        for number in range(start, start + _CHUNK):
            pipe.xadd(key("owner_events", owner), {"j": "0" * 32, "v": 1}, id=f"{number}-0")
        pipe.set(key("owner_seq", owner), start + _CHUNK - 1)
        await pipe.execute()


async def age(redis: Redis, retention: float) -> None:
    """Until cancelled: have expired jobs erased every 20 s, and what is left of them after `retention` s."""
    for number in itertools.count():
        await enqueue_once(redis, Queue.MAINTENANCE, f"cleanup:soak-{number}", "cleanup", "")
        for pattern in _TOMBSTONES:
            async for name in redis.scan_iter(pattern, count=_CHUNK):
                if 0 < await redis.pttl(name) < _GRACE_MS - retention * 1000:
                    await redis.unlink(name)
        await asyncio.sleep(_EVERY_S)
