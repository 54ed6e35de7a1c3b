"""Handles the errors of every task: an outage is retried without an end, an unexpected error a few times.

An outage passes, and is recognised by the exceptions that our own clients raise for it. Anything else is a
bug, here or in a dependency. It is logged with its traceback, counted in the store (so that the count
outlives workers) and retried with growing gaps. After the last run the task's own `give_up` ends what the
task left undone.
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

_log: Final = structlog.get_logger(__name__)

GAPS_S: Final = (2.0, 10.0)
"""Seconds before the second and the third run; there is no fourth."""
_OUTAGE_S: Final = 5.0
_CANCELLATIONS: Final = (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)

C = TypeVar("C", bound=QueueContext, contravariant=True)
Work = Callable[[C, RunningTask, str], Awaitable[None]]
"""A task: it receives the shared context, its own lease, and the id that it works on."""


async def no_cleanup(_context: QueueContext, _running: RunningTask, _argument: str) -> None:
    """The `give_up` of a task that needs none, since it is queued again anyway."""


class GuardedTask(Generic[C]):
    """One kind of task with its error handling. `give_up` is called after the last run."""

    def __init__(self, name: str, queue: Queue, work: Work[C], give_up: Work[C]) -> None:
        self.name = name
        self._queue = queue
        self._work = work
        self._give_up = give_up

    async def run(self, context: C, running: RunningTask, argument: str) -> None:
        """Run it once. Raises arq.Retry to be run again."""
        try:
            await self._work(context, running, argument)
        except Retry:
            raise
        except (StoreOutage, StorageError) as error:
            _log.warning("task_waits", task=self.name, task_id=running.task_id, reason=str(error))
            raise Retry(defer=_OUTAGE_S) from error
        except BaseException as error:  # a panic in a Rust extension is not an Exception
            if isinstance(error, _CANCELLATIONS):
                raise
            await self._handle_unexpected(context, running, argument, error)

    async def _handle_unexpected(
        self, context: C, running: RunningTask, argument: str, error: BaseException
    ) -> None:
        """Count the error. Raises arq.Retry while there are runs left."""
        runs = await self._count(context, running)
        about: dict[str, object] = {"task_id": running.task_id, "runs": runs}
        if self._queue is Queue.GENERATION:
            about["image_id"] = running.task_id
        report_unexpected(self.name, error, **about)
        if runs == 0:
            return  # another worker holds the task by now
        if runs <= len(GAPS_S):
            raise Retry(defer=GAPS_S[runs - 1]) from error
        await self._give_up(context, running, argument)
        _log.error("task_given_up", task=self.name, **about, reason=repr(error))

    async def _count(self, context: QueueContext, running: RunningTask) -> int:
        return await retry_until_stored(
            lambda: leases.note_unexpected(context.redis, self._queue, running.task_id, running.token)
        )
