"""What FAL does with requests, told to the store step by step, and time that passes at once.

Who calls it: the tests of the window.
"""

from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

from redis.asyncio import Redis

from image2model.domain import FalRequest, ImageStatus
from image2model.generation import steps
from image2model.queue import leases, permits, window
from image2model.queue.leases import Claim
from image2model.queue.permits import Permit, PermitRequest
from image2model.queue.window import FalConcurrency
from image2model.store.durability import Replicas
from image2model.store.keys import Queue, key
from tests.support import jobs

AUTO: Final = FalConcurrency()
_TIMES: Final = ("fal_running", "fal_waiting", "fal_ended", "asked")
# By store: its time after the last step, in milliseconds.
_slowed_at: Final[WeakKeyDictionary[Redis, int]] = WeakKeyDictionary()


async def _now(redis: Redis) -> int:
    """The store's time, in milliseconds."""
    seconds, microseconds = await redis.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


async def _move(redis: Redis, moved: Callable[[float], float]) -> None:
    """Move all times that the window learns from."""
    for name in _TIMES:
        for member, score in await redis.zrange(key(name), 0, -1, withscores=True):
            await redis.zadd(key(name), {member: moved(score)})
    for field, value in (await redis.hgetall(key("fal_window"))).items():
        if field.endswith(b"_at"):
            await redis.hset(key("fal_window"), field, str(int(moved(float(value)))))


async def _slow_clock(redis: Redis) -> None:
    """Let a thousandth go by of the time since the last step.

    On a busy machine that time can be as long as what is tested. The order of times is kept.
    """
    now, before = await _now(redis), _slowed_at.get(redis)
    if before is not None:
        start = now - (now - before) / 1000

        def moved(at: float) -> float:
            return at + start - before if at <= before else now - (now - at) / 1000

        await _move(redis, moved)
    _slowed_at[redis] = now


async def pick(
    redis: Redis, free: int = 100, *, concurrency: FalConcurrency = AUTO, look_ahead: int = 29
) -> list[Claim]:
    """Claim images as a worker does that has room for many."""
    await _slow_clock(redis)
    return (
        await leases.pick(
            redis,
            Queue.GENERATION,
            "w1",
            free=free,
            reserve=0,
            lease_s=600.0,
            max_permits=100,
            look_ahead=look_ahead,
            own_look_ahead=look_ahead,
            concurrency=concurrency,
        )
    ).claims


async def ask(redis: Redis, claims: list[Claim], *, concurrency: FalConcurrency = AUTO) -> list[Permit]:
    """Ask for permits for prepared images."""
    await _slow_clock(redis)
    wanted = [PermitRequest(one.task_id, one.token, "a1", "http://cdn/1.png") for one in claims]
    return await permits.take(redis, wanted, max_permits=100, concurrency=concurrency)


async def accept(redis: Redis, claim: Claim, position: int | None = None) -> None:
    """FAL accepts the image's request; with a `position`, it says that the request waits there."""
    await _slow_clock(redis)
    wanted = PermitRequest(claim.task_id, claim.token, "a1", "http://cdn/1.png")
    assert await permits.take(redis, [wanted], max_permits=1000) == [Permit.GRANTED]
    await steps.mark_posting(Replicas(redis), claim.task_id, claim.token)
    request = FalRequest(claim.task_id, "http://fal/status", "http://fal/response", "http://fal/cancel")
    await steps.commit_submission(Replicas(redis), claim.task_id, claim.token, "a1", request)
    if position is not None:
        await jobs.queue_position(redis, claim, position)


async def start(redis: Redis, claim: Claim) -> None:
    """FAL runs it."""
    await _slow_clock(redis)
    await steps.move(redis, claim.task_id, claim.token, ImageStatus.GENERATING, "queue_position", "")


async def end(redis: Redis, claim: Claim) -> None:
    """FAL has completed it."""
    await _slow_clock(redis)
    await steps.move(redis, claim.task_id, claim.token, ImageStatus.STORING, "queue_position", "")


async def run(redis: Redis, claims: list[Claim]) -> None:
    """FAL accepts these and runs them at once."""
    for claim in claims:
        await accept(redis, claim)
        await start(redis, claim)


async def later(redis: Redis, seconds: float) -> None:
    """So much time passes, and nothing happens but what the clock does."""
    await _slow_clock(redis)
    await _move(redis, lambda at: at - int(seconds * 1000))
    await tick(redis)


async def tick(redis: Redis, concurrency: FalConcurrency = AUTO) -> None:
    """The clock comes round."""
    await _slow_clock(redis)
    await redis.delete(key("window_told"))
    await window.learn(redis, concurrency)


async def limit(redis: Redis) -> int:
    """What the service has learned."""
    return (await window.read(redis, AUTO)).limit


async def endpoint_limits(redis: Redis) -> dict[str, int]:
    """The same for endpoints."""
    return (await window.read(redis, AUTO)).endpoints
