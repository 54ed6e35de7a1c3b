"""Leases on tasks: picked, renewed, swept, let go. The holder's token is the fence of every step.

Who calls it: the worker's ARQ subclass and its lease keeper.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.store.keys import Queue
from image2model.store.scripts import Script

MAX_CRASHES: Final = 5
"""A picture that has ended so many processes, alone in them, fails with `worker_crashed`."""

MAX_UNFINISHED_RUNS: Final = 5
"""Runs of an image in one attempt that end without an end of its own, before it fails: the last resort
behind what the worker itself does about errors that nobody expected."""

_PICK: Final = Script("queue/pick")
_RENEW: Final = Script("queue/renew_leases")
_SWEEP: Final = Script("queue/sweep_leases")
_FINISH: Final = Script("queue/release_task")
_UNEXPECTED: Final = Script("queue/note_unexpected")


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """One task that is ours now. `score` is the place in the queue that it came from."""

    task_id: str
    token: str
    score: float


class Renewal(msgspec.Struct, frozen=True, array_like=True):
    """What a renewal found: tasks that are another's now, and images that somebody wants cancelled."""

    lost: list[str]
    cancelled: list[str]


_claims = msgspec.msgpack.Decoder(list[Claim])
_renewal = msgspec.msgpack.Decoder(Renewal)


async def pick(
    redis: Redis,
    queue: Queue,
    worker: str,
    *,
    free: int,
    reserve: int,
    lease_s: float,
    max_permits: int,
    look_ahead: int = 0,
    own_look_ahead: int = 0,
) -> list[Claim]:
    """Claim up to `free` tasks to start, and up to `reserve` images that FAL has already.

    Over the fleet at most `max_permits` images are in FAL's hands, and `look_ahead` more in preparation, of
    which this worker takes `own_look_ahead`.
    """
    packed = await _PICK.packed(
        redis,
        queue.value,
        worker,
        free,
        reserve,
        int(lease_s * 1000),
        max_permits,
        look_ahead,
        own_look_ahead,
    )
    return _claims.decode(packed)


async def renew(redis: Redis, queue: Queue, held: Sequence[tuple[str, str]], *, lease_s: float) -> Renewal:
    """Renew all of a worker's leases, `(task id, token)` each, in one round trip."""
    return _renewal.decode(await _RENEW.packed(redis, queue.value, int(lease_s * 1000), held))


async def sweep(redis: Redis, queue: Queue, *, lease_s: float) -> int:
    """Put tasks with an expired lease at the front of the queue; returns how many."""
    gap_ms = int(max(lease_s / 2, 1.5) * 1000)
    return int(await _SWEEP.packed(redis, queue.value, int(lease_s * 1000), gap_ms, MAX_CRASHES))


async def release(
    redis: Redis,
    queue: Queue,
    task_id: str,
    token: str,
    *,
    finished: bool,
    score: float,
    delay_ms: int | None = None,
) -> bool:
    """End the lease: the task is done, or goes back to `score`, or waits for `delay_ms` by the store's clock.

    False when it was another's already.
    """
    delay = False if delay_ms is None else delay_ms
    return bool(
        await _FINISH.packed(redis, queue.value, task_id, token, finished, int(score), delay, MAX_UNFINISHED_RUNS)
    )


async def note_unexpected(redis: Redis, queue: Queue, task_id: str, token: str) -> int:
    """Count a run that ended with an error that nobody expected, and return how many did.

    Of an image those of its present attempt count. 0 where the task is another's by now. Repeat it until
    it answers: a run counts once.
    """
    return int(await _UNEXPECTED.packed(redis, queue.value, task_id, token))
