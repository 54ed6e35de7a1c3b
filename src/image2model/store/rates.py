"""Rate limits: buckets that fill up steadily, shared by all processes.

Who calls it: the API's gate. One script looks at several buckets and takes from all of them or none.
The generic cell rate algorithm keeps one number for a bucket, and has no window at whose edge twice as
much could pass.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.store.api_keys import Rate
from image2model.store.script import Script

_TAKE: Final = Script("take_rate")


class Bucket(msgspec.Struct, frozen=True):
    """`name` says whose it is; `rate` how many requests in how many seconds."""

    name: str
    rate: Rate


class BucketState(msgspec.Struct, frozen=True, array_like=True):
    """What a bucket said. `may`: it had one to give; `remaining` holds now; times in ms."""

    may: bool
    remaining: int
    reset_ms: int
    retry_ms: int


_states = msgspec.msgpack.Decoder(list[BucketState])


async def take(redis: Redis, buckets: Sequence[Bucket], *, peek: bool = False) -> list[BucketState]:
    """Take one from each bucket, if all have one. `peek`: only look. Raises StoreOutage."""
    asked = [(bucket.name, bucket.rate[0], bucket.rate[1] * 1000) for bucket in buckets]
    return _states.decode(await _TAKE.packed(redis, asked, peek))
