"""Looks for Redis keys that would live for ever."""

from typing import Final

from redis.asyncio import Redis

from image2model.store.arq_keys import queue_key
from image2model.store.keys import KEYS, Ttl, key
from image2model.store.naming import ROOT

_FOREVER: Final = tuple(
    name
    for kind, row in KEYS.items()
    if row.ttl is Ttl.FOREVER
    for tagged in (key(kind, *[""] * row.template.count("{}")),)
    for name in (tagged, tagged.plain)
)
_QUEUES: Final = (queue_key(""), queue_key("").plain)


async def keys_without_ttl(redis: Redis) -> list[str]:
    """Keys without a TTL, apart from the few that may live for ever."""
    found = []
    async for name in redis.scan_iter(count=1000):
        text = name.decode()
        if not text.startswith((ROOT, *_QUEUES, *_FOREVER)) and await redis.pttl(name) == -1:
            found.append(text)
    return sorted(found)
