"""Leases on tasks: pick, renew, sweep, release; and the loops that keep the leases of this process.

A lease has a token, the fence of every step that its holder stores. After an outage of the store renewal
comes before everything else, so that no other worker takes over a task that is still being worked on.
"""

import asyncio
import itertools
import time
from collections.abc import Sequence
from typing import Final

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.queue import reconciliation, window
from image2model.queue.context import QueueContext
from image2model.queue.running import RunningTask
from image2model.queue.window import UNLIMITED, FalConcurrency
from image2model.store.connection import StoreOutage
from image2model.store.keys import Queue
from image2model.store.scripts import Script
from image2model.telemetry import metrics

_log = structlog.get_logger(__name__)

MAX_CRASHES: Final = 5
"""An image that has crashed this many processes in which nothing else ran fails with `worker_crashed`."""

MAX_UNFINISHED_RUNS: Final = 5
"""Runs of one attempt that return without making the image final, before it fails. The last resort behind the
worker's own handling of unexpected errors."""

_POLL_MS: Final = 250
"""Notifications start tasks at once; the poll is for one that was lost."""
IDLE_POLL_S: Final = 5.0
"""The same where nothing waits. Whatever queues or releases a task sends a notification, and a process that
subscribes anew picks: this is for what nobody thought of."""
REGISTERED_S: Final = 20.0
"""After which an idle worker registers anew."""
_REGISTERED_MS: Final = int(3 * REGISTERED_S * 1000)
"""How long a registration counts: that of a worker which was killed is removed."""
_SWEEP_S: Final = 0.5
_calls: Final = itertools.count(1)
"""Numbers the calls of `pick` in this process: with its worker's id, which is unique, they name a lease."""
_CHUNK: Final = 500
"""Leases renewed by one call: a script must not block the server for long."""

_PICK: Final = Script("queue/pick")
_RENEW: Final = Script("queue/renew_leases")
_SWEEP: Final = Script("queue/sweep_leases")
_RELEASE: Final = Script("queue/release_task")
_UNEXPECTED: Final = Script("queue/note_unexpected")


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """One task that this worker holds now. `score` is the one that it had in the queue.

    `function` names what runs it, with `argument`; it is empty where the task's definition is gone.
    """

    task_id: str
    token: str
    score: float
    function: str = ""
    argument: str = ""


class Renewal(msgspec.Struct, frozen=True, array_like=True):
    """What a renewal found: the tasks whose lease is lost, and the images that a client has cancelled."""

    lost: list[str]
    cancelled: list[str]


class Picked(msgspec.Struct, frozen=True, array_like=True):
    """The tasks that this worker holds now, and after how long another pick may find some without a
    notification, in ms: 0 if there may be more for it right now."""

    claims: list[Claim]
    wait_ms: int


_picked = msgspec.msgpack.Decoder(Picked)
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
    concurrency: FalConcurrency = UNLIMITED,
    waiter: str = "",
    idle_poll_s: float = IDLE_POLL_S,
) -> Picked:
    """Claim up to `free` tasks to start, and up to `reserve` images that FAL has already.

    Over the fleet at most `max_permits` images are at FAL, fewer where FAL runs fewer (`concurrency`), and
    `look_ahead` more are being prepared, of which this worker takes at most `own_look_ahead`. Images that
    come before some of those in the fair order are prepared besides, as many again at most. `waiter`: the
    id of a worker that is registered in the same step, to be woken, if there is nothing for it.
    `idle_poll_s`: the pause until the next pick then.
    """
    packed = await _PICK.packed(
        redis,
        queue.value,
        f"{worker}:{next(_calls)}",
        free,
        reserve,
        int(lease_s * 1000),
        max_permits,
        look_ahead,
        own_look_ahead,
        concurrency,
        _POLL_MS,
        int(idle_poll_s * 1000),
        waiter,
        _REGISTERED_MS,
    )
    return _picked.decode(packed)


async def renew(redis: Redis, queue: Queue, held: Sequence[tuple[str, str]], *, lease_s: float) -> Renewal:
    """Renew these leases, `(task id, token)` each, in one round trip."""
    return _renewal.decode(await _RENEW.packed(redis, queue.value, int(lease_s * 1000), held))


async def sweep(redis: Redis, queue: Queue, *, lease_s: float) -> int:
    """Put tasks with an expired lease back into the queue, before the others; returns how many."""
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

    False when another worker held the task already.
    """
    delay = False if delay_ms is None else delay_ms
    return bool(
        await _RELEASE.packed(
            redis, queue.value, task_id, token, finished, int(score), delay, MAX_UNFINISHED_RUNS
        )
    )


async def note_unexpected(redis: Redis, queue: Queue, task_id: str, token: str) -> int:
    """Count a run that ended with an unexpected error, and return how many did.

    For an image only the runs of its present attempt count. 0 when another worker holds the task. The call
    may be repeated until it succeeds: a run counts once.
    """
    return int(await _UNEXPECTED.packed(redis, queue.value, task_id, token))


class LeaseRenewer:
    """Keeps the leases of one process, and sweeps those of others that have expired. `run` until
    cancelled."""

    def __init__(self, context: QueueContext, queues: tuple[Queue, ...]) -> None:
        self._context = context
        self._lease_s = context.settings.lease_seconds
        self._held: dict[Queue, dict[str, RunningTask]] = {queue: {} for queue in queues}
        self._renewed_at = time.monotonic()
        self._renewing = asyncio.Lock()

    def hold(self, queue: Queue, task: RunningTask) -> None:
        """Renew this lease from now on."""
        self._held[queue][task.token] = task
        self._context.activity.notice()

    def drop(self, queue: Queue, task: RunningTask) -> None:
        """Stop renewing this lease."""
        self._held[queue].pop(task.token, None)

    async def renew_if_overdue(self) -> None:
        """Renew now if the last renewal is so long ago that leases may expire. Raises StoreOutage."""
        if time.monotonic() - self._renewed_at > self._lease_s * 2 / 3:
            await self.renew()

    async def renew(self) -> None:
        """Renew every lease. Raises StoreOutage."""
        async with self._renewing:
            started = time.monotonic()
            for queue, held in self._held.items():
                tasks = list(held.values())
                for start in range(0, len(tasks), _CHUNK):
                    await self._renew_some(queue, tasks[start : start + _CHUNK])
            self._renewed_at = started

    async def run(self) -> None:
        """Renew every third of a lease until cancelled. While anything runs, one process of the fleet sweeps
        every half second.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._renew_forever())
            group.create_task(self._sweep_forever())

    async def _renew_some(self, queue: Queue, tasks: list[RunningTask]) -> None:
        pairs = [(task.task_id, task.token) for task in tasks]
        renewal = await renew(self._context.redis, queue, pairs, lease_s=self._lease_s)
        lost, cancelled = set(renewal.lost), set(renewal.cancelled)
        for task in tasks:
            if task.task_id in cancelled:
                task.request_cancel()
            # it may have ended or been released during the call
            if task.task_id in lost and self._held[queue].pop(task.token, None) is not None:
                metrics.LEASES_LOST.inc()
                _log.warning("lease_lost", task_id=task.task_id, queue=queue.value)
                task.lose_lease()

    async def _renew_forever(self) -> None:
        pause = self._lease_s / 3
        while True:
            await asyncio.sleep(pause)
            try:
                await self.renew()
                pause = self._lease_s / 3
            except StoreOutage as error:
                _log.warning("leases_not_renewed", error=str(error))
                pause = min(0.5, self._lease_s / 6)

    async def _sweep_forever(self) -> None:
        activity = self._context.activity
        while True:
            await activity.pause(_SWEEP_S)
            try:
                await self.renew_if_overdue()
                if not await activity.is_idle() and await activity.take_turn():
                    await self._sweep()
            except StoreOutage as error:
                _log.warning("leases_not_swept", error=str(error))

    async def _sweep(self) -> None:
        """All of it in one round trip."""
        redis, settings = self._context.redis, self._context.settings
        concurrency = FalConcurrency.of(settings)
        counts = await asyncio.gather(
            *(sweep(redis, queue, lease_s=self._lease_s) for queue in Queue),
            window.learn(redis, concurrency),
            reconciliation.refresh_waiting(
                redis, max_permits=settings.max_concurrent, concurrency=concurrency
            ),
        )
        for queue, count in zip(Queue, counts, strict=False):
            if count:
                _log.warning("leases_expired", queue=queue.value, count=count)
