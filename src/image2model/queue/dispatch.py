"""ARQ as the dispatcher, with our lease: what it starts is claimed in one step and fenced to its end.

Who calls it: the process, one for each queue. Of ARQ remain the main loop, the running of a job, retries
and the job's serialisation; picking and finishing are ours, because stock ARQ knows no owner of a job
(see ARCHITECTURE.md, "Queue"). It never lets an error of the store end the loop.
"""

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, Final

import structlog
from arq.connections import ArqRedis
from arq.utils import timestamp_ms
from arq.worker import Function, Worker, func

from image2model.queue import leases
from image2model.queue.context import QueueContext
from image2model.queue.lease_renewal import LeaseRenewer
from image2model.queue.leases import Claim
from image2model.queue.permits import look_ahead
from image2model.queue.running import RunningTask
from image2model.queue.unexpected import GuardedTask
from image2model.store import arq_keys
from image2model.store.connection import StoreOutage
from image2model.store.keys import Queue
from image2model.telemetry.unexpected import report_unexpected

_log = structlog.get_logger("worker.dispatch")

POLL_S: Final = 0.25
"""The bell starts tasks at once; this is for the bell that is not heard."""
_FOR_EVER: Final = 10**9
_FIRST_PAUSE_S: Final = 0.1
_LAST_PAUSE_S: Final = 1.0
KEY: Final = "context"
_CURRENT: Final[ContextVar[RunningTask]] = ContextVar("running_task")
"""The lease that a run works under. An id may be picked again while its last run still unwinds, so the id
alone does not tell which."""
_REATTACH: Final = 2000
"""Images at FAL that one process follows besides those it started: following costs next to nothing."""


def arq_function(guarded: GuardedTask[Any]) -> Function:
    """A task as ARQ wants it, known to its lease so that it stops when that is lost."""

    async def run(ctx: dict[str, Any], argument: str) -> None:
        context: QueueContext = ctx[KEY]
        running = _CURRENT.get()
        current = asyncio.current_task()
        if current is not None:
            running.attach(current)
        await guarded.run(context, running, argument)

    return func(run, name=guarded.name)


class LeasedWorker(Worker):
    """One queue of this process. `slots`: tasks that it starts; re-attached images come on top."""

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
        self._started: set[str] = set()
        self._picking = asyncio.Lock()
        super().__init__(
            functions,
            queue_name=arq_keys.queue_key(queue),
            redis_pool=ArqRedis(context.redis.connection_pool, default_queue_name=queue.value),
            handle_signals=False,
            max_jobs=slots + _REATTACH,
            job_timeout=_FOR_EVER,
            keep_result=0,
            max_tries=_FOR_EVER,
            poll_delay=POLL_S,
            job_serializer=arq_keys.serialize,
            job_deserializer=arq_keys.deserialize,
            log_results=False,
            ctx={KEY: context},
        )
        self.in_progress_timeout_s = settings.lease_seconds

    async def _poll_iteration(self) -> None:
        self._reap()
        await self.pick()

    async def pick(self) -> None:
        """Claim and start what there is room for. An outage of the store ends in the log."""
        if not self.allow_pick_jobs or self._picking.locked():
            return
        async with self._picking:
            try:
                await self._lease_renewer.renew_if_overdue()
                while self.allow_pick_jobs and await self._pick_once():
                    pass
            except StoreOutage as error:
                _log.warning("store_not_answering", queue=self._queue.value, error=str(error))
                await asyncio.sleep(POLL_S)

    async def _pick_once(self) -> bool:
        settings = self._context.settings
        free = self._slots - len(self._started)
        reserve = self.max_jobs - self.job_counter if self._queue is Queue.GENERATION else 0
        claims = await leases.pick(
            self._context.redis,
            self._queue,
            self._worker_id,
            free=free,
            reserve=max(reserve, 0),
            lease_s=settings.lease_seconds,
            max_permits=settings.max_concurrent,
            look_ahead=look_ahead(settings.max_concurrent),
            own_look_ahead=look_ahead(self._slots),
        )
        for claim in claims:
            self._start(claim)
        return bool(claims)

    def _start(self, claim: Claim) -> None:
        arq_function = RunningTask(claim.task_id, claim.token, claim.score)
        self._context.running.add(arq_function)
        self._lease_renewer.hold(self._queue, arq_function)
        self.job_counter += 1
        if claim.score > arq_keys.FOLLOW_NOW:
            self._started.add(claim.token)
        previous = self.tasks.get(claim.task_id)
        running = self.loop.create_task(self._run(arq_function, previous))
        self.tasks[claim.task_id] = running
        running.add_done_callback(lambda _: self._ended(arq_function))

    async def _run(self, arq_function: RunningTask, previous: "asyncio.Task[Any] | None") -> None:
        _CURRENT.set(arq_function)
        if previous is not None:
            # an id that still runs here is never started beside itself
            await asyncio.wait([previous])
        try:
            await self.run_job(arq_function.task_id, int(arq_function.score))
        except StoreOutage as error:
            # ARQ did not come as far as our function, or not to its end
            _log.warning("task_lost_store", task_id=arq_function.task_id, error=str(error))
            await self._release_all(arq_function, finished=False, score=arq_function.score)
        finally:
            arq_function.release_slot()
            self._lease_renewer.drop(self._queue, arq_function)
            self._context.running.remove(arq_function)

    def _ended(self, arq_function: RunningTask) -> None:
        self.job_counter -= 1
        self._started.discard(arq_function.token)

    def _reap(self) -> None:
        for task_id, running in list(self.tasks.items()):
            if running.done():
                del self.tasks[task_id]
                if not running.cancelled() and (error := running.exception()) is not None:
                    # its lease runs out by itself, and the sweep puts it at the front
                    report_unexpected("dispatch", error, task_id=task_id)

    async def finish_job(
        self,
        job_id: str,  # noqa: ARG002 - ARQ's signature
        finish: bool,
        result_data: bytes | None,  # noqa: ARG002
        result_timeout_s: float | None,  # noqa: ARG002
        keep_result_forever: bool,  # noqa: ARG002
        incr_score: int | None,
        keep_in_progress: float | None,  # noqa: ARG002
    ) -> None:
        """ARQ's end of a run, fenced: it acts only while the task is ours."""
        arq_function = _CURRENT.get()
        # ARQ counts from the score to a time of this machine, whose clock may differ from the store's
        wait = max(int(arq_function.score) + incr_score - timestamp_ms(), 0) if incr_score else None
        await self._release_all(arq_function, finished=finish, score=arq_function.score, delay_ms=wait)

    async def finish_failed_job(self, job_id: str, result_data: bytes | None) -> None:  # noqa: ARG002
        """ARQ's end of a job that it could not start (expired, unknown, unreadable), fenced."""
        _log.error("task_not_started", task_id=job_id, queue=self._queue.value)
        await self._release_all(_CURRENT.get(), finished=True, score=0)

    async def _release_all(
        self, arq_function: RunningTask, *, finished: bool, score: float, delay_ms: int | None = None
    ) -> None:
        """Told until the store has heard it: a lease that just ran out would count as a crash."""
        self._lease_renewer.drop(self._queue, arq_function)
        pause = _FIRST_PAUSE_S
        while not arq_function.final:
            try:
                await leases.release(
                    self._context.redis,
                    self._queue,
                    arq_function.task_id,
                    arq_function.token,
                    finished=finished,
                    score=score,
                    delay_ms=delay_ms,
                )
            except StoreOutage as error:
                _log.debug("task_not_released", task_id=arq_function.task_id, error=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LAST_PAUSE_S)
            else:
                return

    async def stop(self) -> None:
        """Pick nothing more, stop what runs, and wait until all of it is given back."""
        self.allow_pick_jobs = False
        async with self._picking:
            for task_id in list(self.tasks):
                if (arq_function := self._context.running.get(task_id)) is not None:
                    arq_function.stop()
        if self.tasks:
            await asyncio.wait(list(self.tasks.values()))
