"""Which contents have a result already. Who calls it: the quote. The scripts decide what is reused."""

from collections.abc import Sequence

from redis.asyncio import Redis

from image2model.domain import ImageStatus
from image2model.store.keys import key


async def succeeded(redis: Redis, digests: Sequence[str]) -> frozenset[str]:
    """Those of the digests whose picture has run with success, so that its result can be taken."""
    if not digests:
        return frozenset()
    pipe = redis.pipeline(transaction=False)
    for digest in digests:
        pipe.get(key("reuse", digest))
    leaders = {digest: one.decode() for digest, one in zip(digests, await pipe.execute(), strict=True) if one}
    for leader in leaders.values():
        pipe.hget(key("image", leader), "status")
    statuses = await pipe.execute() if leaders else []
    done = ImageStatus.SUCCEEDED.value.encode()
    return frozenset(digest for digest, status in zip(leaders, statuses, strict=True) if status == done)
