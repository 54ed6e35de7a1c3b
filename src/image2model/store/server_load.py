"""What the store's server says about its own load: memory, commands, replicas. For metrics only."""

from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from image2model.store.connection import command


class ServerLoad(msgspec.Struct, frozen=True, kw_only=True):
    """One reading. Memory in bytes; `memory_limit` is `maxmemory`, 0: none. `commands` since its start."""

    memory: int
    memory_limit: int
    commands: int
    replicas: int


async def read(redis: Redis) -> ServerLoad | None:
    """None where a hosted server refuses to say. Raises StoreOutage."""
    try:
        about: dict[str, Any] = await command(redis, "INFO")
    except ResponseError:
        return None
    return ServerLoad(
        memory=int(about.get("used_memory", 0)),
        memory_limit=int(about.get("maxmemory", 0)),
        commands=int(about.get("total_commands_processed", 0)),
        replicas=int(about.get("connected_slaves", 0)),
    )
