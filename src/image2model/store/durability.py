"""Whether a server that is not ours keeps what it is told.

Who calls it: the API at start, and `doctor`. It only reads, and only advises.
"""

from typing import Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from image2model.store.connection import command

_WANTED: Final = {
    "appendfsync": ("always", "a crash of the store can lose the id of a request that is paid for"),
    "maxmemory-policy": ("noeviction", "the store may drop jobs when its memory is full"),
}


async def warnings(redis: Redis) -> list[str]:
    """One sentence for each setting that endangers a job; empty where all is well."""
    try:
        reply: list[bytes] = await command(
            redis, "CONFIG", "GET", "appendonly", "appendfsync", "maxmemory-policy"
        )
    except ResponseError as error:  # a hosted server may not tell
        return [
            f"The store does not tell its settings ({error}): make sure of appendfsync always and noeviction."
        ]
    found = {name.decode(): value.decode() for name, value in zip(reply[::2], reply[1::2], strict=True)}
    if found.get("appendonly") != "yes":
        found["appendfsync"] = "never (appendonly no)"
    return [
        f"The store has {name} {found.get(name)}, not {wanted}: {danger}."
        for name, (wanted, danger) in _WANTED.items()
        if found.get(name) != wanted
    ]
