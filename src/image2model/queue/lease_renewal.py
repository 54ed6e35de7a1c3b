"""Keeps this process's leases: renews them in time, sweeps those of others that have run out.

Who calls it: the process runs it, the dispatcher tells it what is held. Renewal comes before all else
after an outage, so that nobody takes over what is still worked on.
"""

import asyncio
import time

import structlog

from image2model.queue import leases, reconciliation
from image2model.queue.context import QueueContext
from image2model.queue.running import RunningTask
from image2model.store.connection import StoreOutage
from image2model.store.keys import Queue
from image2model.telemetry import metrics

_log = structlog.get_logger("worker.keeper")

_SWEEP_S = 0.5
_CHUNK = 500
"""Leases renewed by one call: a script must not hold the server for long."""


class LeaseRenewer:
    """The leases of one process. `run` until cancelled."""

    def __init__(self, context: QueueContext, queues: tuple[Queue, ...]) -> None:
        self._context = context
        self._lease_s = context.settings.lease_seconds
        self._held: dict[Queue, dict[str, RunningTask]] = {queue: {} for queue in queues}
        self._renewed_at = time.monotonic()
        self._renewing = asyncio.Lock()

    def hold(self, queue: Queue, task: RunningTask) -> None:
        """Renew this lease from now on."""
        self._held[queue][task.token] = task

    def drop(self, queue: Queue, task: RunningTask) -> None:
        """Renew it no longer."""
        self._held[queue].pop(task.token, None)

    async def renew_if_overdue(self) -> None:
        """Renew first where the last time is so long ago that leases may have run out."""
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

    async def _renew_some(self, queue: Queue, tasks: list[RunningTask]) -> None:
        pairs = [(task.task_id, task.token) for task in tasks]
        renewal = await leases.renew(self._context.redis, queue, pairs, lease_s=self._lease_s)
        lost, cancelled = set(renewal.lost), set(renewal.cancelled)
        for task in tasks:
            if task.task_id in cancelled:
                task.request_cancel()
            # it may have ended, or been let go, while the call was under way
            if task.task_id in lost and self._held[queue].pop(task.token, None) is not None:
                metrics.LEASES_LOST.inc()
                _log.warning("lease_lost", task_id=task.task_id, queue=queue.value)
                task.lose_lease()

    async def run(self) -> None:
        """Renew every third of a lease, sweep every half second, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._renew_forever())
            group.create_task(self._sweep_forever())

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
        while True:
            await asyncio.sleep(_SWEEP_S)
            try:
                await self.renew_if_overdue()
                await self._sweep()
            except StoreOutage as error:
                _log.warning("leases_not_swept", error=str(error))

    async def _sweep(self) -> None:
        redis = self._context.redis
        for queue in self._held:
            if count := await leases.sweep(redis, queue, lease_s=self._lease_s):
                _log.warning("leases_expired", queue=queue.value, count=count)
        await reconciliation.refresh_waiting(redis, max_permits=self._context.settings.max_concurrent)
