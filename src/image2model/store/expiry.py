"""What is over: jobs past their end of life, owners without jobs, images that no longer exist.

Who calls it: the cleanup. Every function may run twice, or on several workers at once.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.store.connection import command
from image2model.store.keys import key
from image2model.store.script import Script

_ERASE: Final = Script("erase_expired")
_PRUNE: Final = Script("prune_owner")
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


async def living(redis: Redis, image_ids: Sequence[str]) -> frozenset[str]:
    """Those of the images that exist."""
    pipe = redis.pipeline(transaction=False)
    for image_id in image_ids:
        pipe.exists(key("image", image_id))
    found = await pipe.execute() if image_ids else []
    return frozenset(image_id for image_id, there in zip(image_ids, found, strict=True) if there)
