"""The tasks that run in this process, and what each must be told: that it lost its lease, or a cancel.

Who calls it: the dispatcher registers them, the lease keeper and the control channel speak to them.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

_ASK_AGAIN_S: Final = 0.05


class RunningTask:
    """One task of ours. `token` is its fence; `lost` is set once somebody else holds it.

    `final` is set once its image has ended: the store let go of it in the same step.
    """

    def __init__(self, task_id: str, token: str, score: float) -> None:
        self.task_id = task_id
        self.token = token
        self.score = score
        self.lost = False
        self.final = False
        self.cancel_requested = False
        self.timed_out = False
        self._stopped = False
        self._slots: asyncio.Semaphore | None = None
        self._work: asyncio.Task[Any] | None = None
        self._on_cancel: Callable[[], None] | None = None

    async def take_slot(self, slots: asyncio.Semaphore) -> None:
        """One of the worker's places in FAL's hands, held until `leave_place`."""
        await slots.acquire()
        self._slots = slots

    def release_slot(self) -> None:
        """FAL has ended, or the task has: the next may start. Safe to call again."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.release()

    def attach(self, work: asyncio.Task[Any]) -> None:
        """The asyncio task to stop when the lease is lost."""
        self._work = work
        if self._stopped:
            self.stop()

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """What to do when a client cancels the image: called once, at once if that was already."""
        self._on_cancel = callback
        if self.cancel_requested:
            callback()

    def request_cancel(self) -> None:
        """A client cancels the image."""
        if self.cancel_requested:
            return
        self.cancel_requested = True
        if self._on_cancel is not None:
            self._on_cancel()

    def lose_lease(self) -> None:
        """Somebody else holds it now: stop the local work."""
        self.lost = True
        self.stop()

    def stop(self) -> None:
        """Stop the local work, also what has yet to begin; what it holds is given back as it unwinds.

        Asked again until it has ended: Python 3.11's `wait_for`, in which redis-py sends, swallows a
        cancellation that arrives together with its result (bpo-37658).
        """
        self._stopped = True
        if self._work is not None and not self._work.done():
            self._work.cancel()
            asyncio.get_running_loop().call_later(_ASK_AGAIN_S, self.stop)


class RunningTasks:
    """Running tasks of all queues by id."""

    def __init__(self) -> None:
        self._tasks: dict[str, RunningTask] = {}

    def add(self, task: RunningTask) -> None:
        """From now on it is held."""
        self._tasks[task.task_id] = task

    def remove(self, task: RunningTask) -> None:
        """It is no longer held; a later holder of the same id stays."""
        if self._tasks.get(task.task_id) is task:
            del self._tasks[task.task_id]

    def get(self, task_id: str) -> RunningTask | None:
        """The running task of this id."""
        return self._tasks.get(task_id)

    def __getitem__(self, task_id: str) -> RunningTask:
        return self._tasks[task_id]

    def __len__(self) -> int:
        return len(self._tasks)
