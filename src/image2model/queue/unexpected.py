"""What becomes of a task that ends with an error that nobody expected: seen, tried a few times, given up.

Who calls it: the dispatcher, around every task. An outage, which is known to pass, is told by the type that
our own clients raise and is retried without an end; anything else is a bug here or in what we use. It is
logged with its traceback, counted in the store (so that the count outlives workers), tried again with
growing gaps, and then the task's own `give_up` settles what is left undone.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

import structlog
from arq.worker import Retry

from image2model.queue import leases
from image2model.queue.context import QueueContext
from image2model.queue.retry import retry_until_stored
from image2model.queue.running import RunningTask
from image2model.storage.errors import StorageError
from image2model.store.connection import StoreOutage
from image2model.store.keys import Queue
from image2model.telemetry.unexpected import report_unexpected

_log: Final = structlog.get_logger("worker.unexpected")

GAPS_S: Final = (2.0, 10.0)
"""Seconds before the second and the third run; there is no fourth."""
_OUTAGE_S: Final = 5.0
_NO_ERRORS: Final = (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)

C = TypeVar("C", bound=QueueContext, contravariant=True)
Work = Callable[[C, RunningTask, str], Awaitable[None]]
"""A task of ours: the shared parts, its own lease, and the id that it is about."""


async def no_cleanup(_context: QueueContext, _running: RunningTask, _argument: str) -> None:
    """The `give_up` of a task that is queued again anyway."""


class GuardedTask(Generic[C]):
    """One kind of task, with what becomes of its errors. `give_up` is called after the last run."""

    def __init__(self, name: str, queue: Queue, work: Work[C], give_up: Work[C]) -> None:
        self.name = name
        self._queue = queue
        self._work = work
        self._give_up = give_up

    async def run(self, context: C, running: RunningTask, argument: str) -> None:
        """Run it once. Raises arq.Retry to have it again."""
        try:
            await self._work(context, running, argument)
        except Retry:
            raise
        except (StoreOutage, StorageError) as error:
            _log.warning("task_waits", task=self.name, task_id=running.task_id, reason=str(error))
            raise Retry(defer=_OUTAGE_S) from error
        except BaseException as error:  # a panic of a Rust extension is no Exception
            if isinstance(error, _NO_ERRORS):
                raise
            await self._met(context, running, argument, error)

    async def _met(self, context: C, running: RunningTask, argument: str, error: BaseException) -> None:
        """Count the error. Raises arq.Retry while there are runs left."""
        runs = await self._count(context, running)
        about: dict[str, object] = {"task_id": running.task_id, "runs": runs}
        if self._queue is Queue.GENERATION:
            about["image_id"] = running.task_id
        report_unexpected(self.name, error, **about)
        if runs == 0:
            return  # it is another's by now
        if runs <= len(GAPS_S):
            raise Retry(defer=GAPS_S[runs - 1]) from error
        await self._give_up(context, running, argument)
        _log.error("task_given_up", task=self.name, **about, reason=repr(error))

    async def _count(self, context: QueueContext, running: RunningTask) -> int:
        return await retry_until_stored(
            lambda: leases.note_unexpected(context.redis, self._queue, running.task_id, running.token)
        )
