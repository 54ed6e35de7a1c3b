"""Looks for Redis keys that would live for ever."""

from typing import Final

from redis.asyncio import Redis

from image2model.store.arq_keys import QUEUE
from image2model.store.keys import KEYS, PREFIX, Ttl

_FOREVER: Final = tuple(
    PREFIX + kind.template.split("{}")[0] for kind in KEYS.values() if kind.ttl is Ttl.FOREVER
)


async def keys_without_ttl(redis: Redis) -> list[str]:
    """Keys without a TTL, apart from the few that may live for ever."""
    found = []
    async for name in redis.scan_iter(count=1000):
        text = name.decode()
        if not text.startswith((QUEUE, *_FOREVER)) and await redis.pttl(name) == -1:
            found.append(text)
    return sorted(found)
