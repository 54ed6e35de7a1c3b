"""ARQ as the dispatcher, with our leases: it claims a task in one step, and fences it to its end.

A process has one for each queue. ARQ provides the main loop, the functions' registry, `Retry` and the format
of a job. Picking, running and finishing are ours: ARQ itself knows no owner of a job, and reads each job and
counts its tries in a transaction of its own (see ARCHITECTURE.md, "Queue"). An error of the store never ends
the loop.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final

import structlog
from arq.connections import ArqRedis
from arq.worker import Function, Retry, Worker, func

from image2model.queue import leases
from image2model.queue.context import QueueContext
from image2model.queue.leases import Claim, LeaseRenewer
from image2model.queue.permits import look_ahead
from image2model.queue.running import RunningTask
from image2model.queue.unexpected import GuardedTask
from image2model.queue.window import FalConcurrency
from image2model.store import arq_keys
from image2model.store.connection import StoreOutage
from image2model.store.keys import Queue
from image2model.telemetry.unexpected import report_unexpected

_log = structlog.get_logger(__name__)

_LOOK_S: Final = 0.25
"""How often the main loop looks whether a poll is due."""
_NO_LIMIT: Final = 10**9
_FIRST_PAUSE_S: Final = 0.1
_LAST_PAUSE_S: Final = 1.0
_CONTEXT: Final = "context"
_CURRENT: Final[ContextVar[RunningTask]] = ContextVar("running_task")
"""The lease of the present run. A task may be picked again while its last run still unwinds, so its id
alone does not identify the run."""
_REATTACH: Final = 2000
"""How many images at FAL one process follows besides those that it started: following costs next to
nothing."""


def arq_function(guarded: GuardedTask[Any]) -> Function:
    """A task as an ARQ function. It stops when its lease is lost."""

    async def run(ctx: dict[str, Any], argument: str) -> None:
        context: QueueContext = ctx[_CONTEXT]
        running = _CURRENT.get()
        current = asyncio.current_task()
        if current is not None:
            running.attach(current)
        await guarded.run(context, running, argument)

    return func(run, name=guarded.name)


class LeasedWorker(Worker):
    """One queue of this process. `slots`: how many tasks it starts; re-attached images come on top."""

    def __init__(
        self,
        queue: Queue,
        functions: Sequence[Function],
        context: QueueContext,
        lease_renewer: LeaseRenewer,
        *,
        worker_id: str,
        slots: int,
    ) -> None:
        settings = context.settings
        self._queue = queue
        self._context = context
        self._lease_renewer = lease_renewer
        self._worker_id = worker_id
        self._slots = slots
        self._started: dict[str, RunningTask] = {}
        self._picking = asyncio.Lock()
        self._poll_at = 0.0
        self._sooner = asyncio.Event()
        self._registered_until = 0.0
        super().__init__(
            functions,
            queue_name=arq_keys.queue_key(queue),
            redis_pool=ArqRedis(context.redis.connection_pool, default_queue_name=queue.value),
            handle_signals=False,
            max_jobs=slots + _REATTACH,
            job_timeout=_NO_LIMIT,
            keep_result=0,
            max_tries=_NO_LIMIT,
            poll_delay=_LOOK_S,
            job_serializer=arq_keys.serialize,
            job_deserializer=arq_keys.deserialize,
            log_results=False,
            ctx={_CONTEXT: context},
        )
        self.in_progress_timeout_s = settings.lease_seconds

    async def _poll_iteration(self) -> None:
        self._reap()
        rest_s = self._poll_at - time.monotonic()
        if rest_s <= 0:
            await self.pick()
        elif not self.tasks:
            await self._rest(rest_s)

    async def _rest(self, seconds: float) -> None:
        """Wait until a poll is due, or comes sooner than it was. A hundred idle workers that looked four
        times a second would take the cores from the one that has a picture."""
        self._sooner.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._sooner.wait()

    def _poll_after(self, seconds: float) -> None:
        at = time.monotonic() + seconds
        if at < self._poll_at:
            self._sooner.set()
        self._poll_at = at

    def forget_registration(self) -> None:
        """The store may list this worker as idle no more: the next pick registers it."""
        self._registered_until = 0.0

    async def pick(self) -> None:
        """Claim and start tasks for the free slots. An outage of the store is only logged."""
        async with self._picking:
            try:
                await self._lease_renewer.renew_if_overdue()
                while self.allow_pick_jobs and await self._pick_once():
                    pass
            except StoreOutage as error:
                _log.warning("store_not_answering", queue=self._queue.value, error=str(error))
                self._registered_until = 0.0
                self._poll_after(0)
                await asyncio.sleep(_LOOK_S)

    async def _pick_once(self) -> bool:
        """Returns whether there may be more for this worker."""
        settings = self._context.settings
        free = self._free_slots()
        reserve = self.max_jobs - self.job_counter if self._queue is Queue.GENERATION else 0
        waiter = self._registering()
        picked = await leases.pick(
            self._context.redis,
            self._queue,
            self._worker_id,
            free=free,
            reserve=max(reserve, 0),
            lease_s=settings.lease_seconds,
            max_permits=settings.max_concurrent,
            look_ahead=look_ahead(settings.max_concurrent),
            own_look_ahead=look_ahead(self._slots),
            concurrency=FalConcurrency.of(settings),
            waiter=waiter,
            idle_poll_s=min(leases.IDLE_POLL_S * self._context.activity.share, leases.REGISTERED_S),
        )
        self._poll_after(picked.wait_ms / 1000)
        for claim in picked.claims:
            self._start(claim)
        if picked.claims:
            self._registered_until = 0.0
        return bool(picked.claims) and picked.wait_ms == 0

    def _free_slots(self) -> int:
        """How many images this worker may start. One that has left FAL holds no slot, else the next ones
        would wait for its result; but no more than twice as many run in all."""
        before_end = sum(not task.left_fal for task in self._started.values())
        return min(self._slots - before_end, 2 * self._slots - len(self._started))

    def _registering(self) -> str:
        """The id under which the next pick registers this worker as idle; empty where it need not."""
        now = time.monotonic()
        if self._context.waking.hears_all or now < self._registered_until:
            return ""
        # before the call: a script may wake this worker before the call's reply is here
        self._registered_until = now + leases.REGISTERED_S
        return self._worker_id

    def _start(self, claim: Claim) -> None:
        task = RunningTask(claim.task_id, claim.token, claim.score)
        self._context.running.add(task)
        self._context.waking.note_task()
        self._lease_renewer.hold(self._queue, task)
        self.job_counter += 1
        if claim.score > arq_keys.FOLLOW_NOW:
            self._started[claim.token] = task
        previous = self.tasks.get(claim.task_id)
        run = self.loop.create_task(self._run(task, claim, previous))
        self.tasks[claim.task_id] = run
        self._sooner.set()
        run.add_done_callback(lambda _: self._ended(task))

    async def _run(self, task: RunningTask, claim: Claim, previous: "asyncio.Task[Any] | None") -> None:
        _CURRENT.set(task)
        if previous is not None:
            # the last run still unwinds: never run a task twice at once
            await asyncio.wait([previous])
        try:
            await self._run_function(task, claim)
        finally:
            task.release_slot()
            self._lease_renewer.drop(self._queue, task)
            self._context.running.remove(task)

    async def _run_function(self, task: RunningTask, claim: Claim) -> None:
        """Run the task's function once, and release the lease as its end says."""
        function = self.functions.get(claim.function)
        if not isinstance(function, Function):
            _log.error("task_not_started", task_id=task.task_id, queue=self._queue.value)
            await self._release_until_stored(task, finished=True, score=0)
            return
        # a task of its own, since stopping it is repeated until it ends, and must not reach the release
        work = self.loop.create_task(function.coroutine(self.ctx, claim.argument))
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError:
            work.cancel()
            raise
        error = None if work.cancelled() else work.exception()
        if isinstance(error, Retry):
            delay = error.defer_score or None
            await self._release_until_stored(task, finished=False, score=task.score, delay_ms=delay)
            return
        if error is not None:
            report_unexpected("dispatch", error, task_id=task.task_id)
        await self._release_until_stored(task, finished=not work.cancelled(), score=task.score)

    def _ended(self, task: RunningTask) -> None:
        self.job_counter -= 1
        self._started.pop(task.token, None)

    def _reap(self) -> None:
        for task_id, run in list(self.tasks.items()):
            if run.done():
                del self.tasks[task_id]
                if not run.cancelled() and (error := run.exception()) is not None:
                    # its lease expires, and the sweep puts it back into the queue
                    report_unexpected("dispatch", error, task_id=task_id)

    async def _release_until_stored(
        self, task: RunningTask, *, finished: bool, score: float, delay_ms: int | None = None
    ) -> None:
        """Release the lease, repeated until stored: a lease that merely expires would count as a crash."""
        self._lease_renewer.drop(self._queue, task)
        pause = _FIRST_PAUSE_S
        while not task.final:
            try:
                await leases.release(
                    self._context.redis,
                    self._queue,
                    task.task_id,
                    task.token,
                    finished=finished,
                    score=score,
                    delay_ms=delay_ms,
                )
            except StoreOutage as error:
                _log.debug("task_not_released", task_id=task.task_id, error=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LAST_PAUSE_S)
            else:
                return

    async def drain(self) -> None:
        """Stop picking, and wait until all running tasks have ended by themselves."""
        self.allow_pick_jobs = False
        async with self._picking:
            running = list(self.tasks.values())
        if running:
            await asyncio.wait(running)

    async def stop(self) -> None:
        """Stop picking, stop the running tasks, and wait until all of them are released."""
        self.allow_pick_jobs = False
        async with self._picking:
            for task_id in list(self.tasks):
                if (task := self._context.running.get(task_id)) is not None:
                    task.stop()
        if self.tasks:
            await asyncio.wait(list(self.tasks.values()))
