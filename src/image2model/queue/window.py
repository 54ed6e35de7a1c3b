"""The window: how many requests FAL runs at once for this account, and how many of ours it therefore gets.

FAL never refuses a request because an account runs enough; it queues it, first come, first served. What
waits there has escaped the fair order, priority, cancel and budget. So FAL gets what it runs and a small
look-ahead; the rest waits here. The scripts learn the number from what FAL reports (`store/lua/window.lua`).
"""

from typing import Final, Literal

import msgspec
from redis.asyncio import Redis

from image2model.settings import Settings
from image2model.store.keys import key
from image2model.store.scripts import Script

_LEARN_MS: Final = 400
_FIRST_LIMIT: Final = 2
"""What a new account runs; `FIRST_LIMIT` in the scripts."""

_LEARN: Final = Script("queue/learn_window")
_NOTE_LIMIT: Final = Script("queue/note_limit")


class FalConcurrency(msgspec.Struct, frozen=True, array_like=True):
    """What the operator has set: the account's number, 0 where it is learned, and those of endpoints."""

    account: int = 0
    endpoints: dict[str, int] = {}

    @classmethod
    def of(cls, settings: Settings) -> "FalConcurrency":
        """That of `I2M_FAL_CONCURRENCY`."""
        return cls(*settings.fal_concurrency)


UNLIMITED: Final = FalConcurrency(1_000_000)
"""No window: `I2M_MAX_CONCURRENT` alone counts."""


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """What FAL runs and what waits there.

    `limit` is how many run at once. `source`: `learned` from what FAL reports, `header`: FAL has said it,
    `set` by `I2M_FAL_CONCURRENCY`. `since` is when it changed, ms since the epoch. `endpoints` are limits of
    endpoints.
    """

    limit: int
    running: int
    waiting: int
    source: Literal["learned", "set", "header"]
    endpoints: dict[str, int]
    since: int | None


async def read(redis: Redis, concurrency: FalConcurrency) -> Window:
    """The window now, in one round trip. Raises StoreOutage."""
    pipe = redis.pipeline(transaction=False)
    pipe.hmget(key("fal_window"), ["limit", "source", "since"])
    pipe.hgetall(key("fal_endpoints"))
    pipe.zcard(key("fal_running"))
    pipe.zcard(key("fal_waiting"))
    (limit, source, since), learned, running, waiting = await pipe.execute()
    limits = {model.decode(): int(most) for model, most in learned.items()}
    return Window(
        limit=concurrency.account or int(limit or _FIRST_LIMIT),
        running=running,
        waiting=waiting,
        source="set" if concurrency.account else "header" if source == b"header" else "learned",
        endpoints={**limits, **concurrency.endpoints},
        since=int(since) if since and not concurrency.account else None,
    )


async def learn(redis: Redis, concurrency: FalConcurrency) -> int:
    """Draw the conclusions that no event draws; returns the learned limit.

    At most once in `_LEARN_MS` for the whole fleet; a call before then changes nothing. Raises StoreOutage.
    """
    return int(await _LEARN.packed(redis, concurrency, _LEARN_MS))


async def note_limit(redis: Redis, limit: int) -> None:
    """FAL has said how many requests of this account it runs at once. Raises StoreOutage."""
    await _NOTE_LIMIT.packed(redis, limit)
