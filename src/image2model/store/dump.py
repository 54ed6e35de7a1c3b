"""What a backup keeps of the store: every lasting key of ours as a record that any server takes again.

Who calls it: the backup reads records, the restore writes them. A job with its images and history is read
in one transaction; what only belongs to running processes (leases, queues, permits) is left out, and so is
the store's id: two stores must not share one.
"""

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from image2model.store.connection import command
from image2model.store.keys import LIVES, PREFIX, Life

_LEFT_OUT: Final = frozenset({"owner_active", "owner_turn", "reuse_waiting", "leases", "store"})
_SHORT_ONES: Final = frozenset({"idempotency", "spend"})
_LASTING: Final = frozenset({Life.JOB, Life.OWNER, Life.FOREVER})
_PAGE: Final = 200


class Record(msgspec.Struct, frozen=True, array_like=True):
    """One key. `expires_at` is ms since the epoch, 0: it lives for ever. `value` is as `type` wants it:

    a text; a set's members; a hash's or a sorted set's pairs; a stream's (id, packed fields).
    """

    name: str
    type: str
    expires_at: int
    value: msgspec.Raw

    @property
    def kind(self) -> str | None:
        """The key's name in the table of keys; None for one that is not kept."""
        return kind_of(self.name)


def _pattern(template: str) -> re.Pattern[str]:
    """Ids hold no colon, but for a client's own text at the end of a key."""
    first, *rest = (PREFIX + template).split("{}")
    ids = ["[^:]+"] * len(rest)
    if len(rest) > 1 and not rest[-1]:
        ids[-1] = ".+"
    following = (one + re.escape(part) for one, part in zip(ids, rest, strict=True))
    return re.compile(re.escape(first) + "".join(following))


def _is_kept(name: str, life: Life) -> bool:
    return name not in _LEFT_OUT and (life in _LASTING or name in _SHORT_ONES)


_KEPT: Final = {name: _pattern(template) for name, (template, life) in LIVES.items() if _is_kept(name, life)}


def kind_of(name: str) -> str | None:
    """Which row of the table of keys this is, if a backup keeps it."""
    return next((kind for kind, pattern in _KEPT.items() if pattern.fullmatch(name)), None)


async def records(redis: Redis) -> AsyncIterator[Record]:
    """Every lasting key as it is now. Raises StoreOutage."""
    names = [name async for name in redis.scan_iter(match=f"{PREFIX}*", count=1000)]
    kinds = {name: kind_of(name.decode()) for name in names}
    jobs = [name for name, kind in kinds.items() if kind == "job"]
    for job in jobs:
        for record in await _of_job(redis, job):
            yield record
    others = [name for name, kind in kinds.items() if kind not in (None, "job", "job_events", "image")]
    for start in range(0, len(others), _PAGE):
        for record in await _read(redis, others[start : start + _PAGE]):
            yield record


async def _of_job(redis: Redis, job: bytes) -> list[Record]:
    """A job that is being deleted is left out: the store it comes back to owes nobody its erasure."""
    ids, deleted = await command(redis, "HMGET", job, "image_ids", "deleted")
    if ids is None or deleted == b"1":
        return []
    images = [PREFIX.encode() + LIVES["image"][0].format(one).encode() for one in ids.decode().split()]
    return await _read(redis, [job, job + b":events", *images])


async def _read(redis: Redis, names: Iterable[bytes]) -> list[Record]:
    pipe = redis.pipeline(transaction=False)
    names = list(names)
    for name in names:
        pipe.type(name)
    types = [found.decode() for found in await pipe.execute()]
    asked = [(name, kind) for name, kind in zip(names, types, strict=True) if kind in _READERS]
    pipe = redis.pipeline(transaction=True)
    for name, kind in asked:
        pipe.pexpiretime(name.decode())
        _READERS[kind](pipe, name)
    replies = await pipe.execute() if asked else []
    return [
        Record(name.decode(), kind, max(0, replies[2 * i]), _packed(replies[2 * i + 1]))
        for i, (name, kind) in enumerate(asked)
        if replies[2 * i] != -2
    ]


def _packed(value: Any) -> msgspec.Raw:
    if isinstance(value, Mapping):
        value = list(value.items())
    elif isinstance(value, set):
        value = sorted(value)
    return msgspec.Raw(msgspec.msgpack.encode(value))


_READERS: Final = {
    "string": lambda pipe, name: pipe.get(name),
    "hash": lambda pipe, name: pipe.hgetall(name),
    "set": lambda pipe, name: pipe.smembers(name),
    "zset": lambda pipe, name: pipe.zrange(name, 0, -1, withscores=True),
    "stream": lambda pipe, name: pipe.xrange(name),
}
