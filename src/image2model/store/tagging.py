"""Gives tags to the names of a store that an earlier release made, while nothing runs.

One name after the other is renamed, so it takes a while, and may be killed at any moment: a repetition goes
on. Meanwhile `ROOT` says so, and nothing else can connect: a process that starts waits as for a store that is
away.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from image2model.errors import Image2ModelError
from image2model.store import arq_keys
from image2model.store.connection import command
from image2model.store.data_versions import LATEST
from image2model.store.identity import READER_TTL_S
from image2model.store.keys import PLAIN_PREFIX, Queue, StoreKey, key, read_key
from image2model.store.naming import BEYOND_PLAIN, CHANGING, ROOT, naming_of
from image2model.store.scripts import Script

_BEGIN: Final = Script("store/begin_tagging")
_PAGE: Final = 1000
_NO_SUCH_KEY: Final = "no such key"


class TagsRefused(Image2ModelError):
    """The names cannot be changed now; the message says why."""


async def add_tags(redis: Redis) -> int:
    """Rename every key of the service; returns how many were renamed now. `redis` has not connected yet.

    Raises TagsRefused while processes run, or before the newest data version is written; StoreOutage.
    """
    naming = naming_of(redis)
    if naming.of_cluster:
        return 0
    naming.is_tagging = True
    version, before, store_id, tagged = await command(
        redis, "HMGET", ROOT, "version", "data_version", "id", "tagged"
    )
    if tagged not in (None, CHANGING):
        return 0
    version = before or version
    if version is None or int(version) < LATEST:
        raise TagsRefused(f"The store is not written in data version {LATEST} yet. Start this release first.")
    if running := int(await _BEGIN.packed(redis, int(READER_TTL_S * 1000), BEYOND_PLAIN)):
        raise TagsRefused(
            f"{running} processes use the store, or did {READER_TTL_S:.0f} s ago. Stop them all first."
        )
    renamed = 0
    async for names in _tasks(redis):
        renamed += await _rename(redis, names)
    async for names in _others(redis):
        renamed += await _rename(redis, names)
    pipe = redis.pipeline(transaction=True)
    pipe.hset(str(key("store")), mapping={"id": store_id, "version": version})
    pipe.hset(ROOT, "tagged", "1")
    pipe.hdel(ROOT, "id", "data_version")
    await pipe.execute()
    return renamed


async def _tasks(redis: Redis) -> AsyncIterator[list[StoreKey]]:
    """ARQ's keys of our tasks. Other services may have ARQ's keys too, so they are found by our queues."""
    for queue in Queue:
        tasks = arq_keys.queue_key(queue)
        async for members in _pages(redis, tasks):
            yield [name for one in members for name in arq_keys.task_keys(one.decode())]
        yield [tasks]


async def _pages(redis: Redis, sorted_set: StoreKey) -> AsyncIterator[list[bytes]]:
    start = 0
    while page := await command(redis, "ZRANGE", sorted_set, start, start + _PAGE - 1):
        yield page
        start += _PAGE


async def _others(redis: Redis) -> AsyncIterator[list[StoreKey]]:
    names: list[StoreKey] = []
    async for name in redis.scan_iter(match=f"{PLAIN_PREFIX}*", count=_PAGE):
        if name.decode() != ROOT:
            names.append(read_key(name))
        if len(names) == _PAGE:
            yield names
            names = []
    yield names


async def _rename(redis: Redis, names: Iterable[StoreKey]) -> int:
    """A key that is gone was renamed before, or has expired."""
    pipe = redis.pipeline(transaction=False)
    for name in names:
        pipe.execute_command("RENAME", name, str(name))
    replies = await pipe.execute(raise_on_error=False)
    for reply in replies:
        if isinstance(reply, Exception) and not _is_gone(reply):
            raise reply
    return sum(not isinstance(reply, Exception) for reply in replies)


def _is_gone(error: Exception) -> bool:
    return isinstance(error, ResponseError) and _NO_SUCH_KEY in str(error)
