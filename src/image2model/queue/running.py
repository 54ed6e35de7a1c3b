"""The tasks that run in this process, and how each is stopped or asked to cancel.

The dispatcher registers them; the lease renewer and the notification listener reach them by their id.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

_REPEAT_CANCEL_S: Final = 0.05


class RunningTask:
    """One task of this process. `token` is its fence; `lost` is set once another worker may hold the task.

    `final` is set once its image has ended: the store released the lease in the same step. `left_fal` is set
    once FAL has ended its request: what is left is to take the result.
    """

    def __init__(self, task_id: str, token: str, score: float) -> None:
        self.task_id = task_id
        self.token = token
        self.score = score
        self.lost = False
        self.final = False
        self.left_fal = False
        self.cancel_requested = False
        self.timed_out = False
        self._stopped = False
        self._release_slot: Callable[[], None] | None = None
        self._work: asyncio.Task[Any] | None = None
        self._on_cancel: Callable[[], None] | None = None

    def hold_slot(self, release: Callable[[], None]) -> None:
        """Hold one of the worker's slots for requests at FAL until `release_slot`."""
        self._release_slot = release

    def release_slot(self) -> None:
        """Give the slot back: FAL has ended, or the task has. Idempotent."""
        self.left_fal = True
        release, self._release_slot = self._release_slot, None
        if release is not None:
            release()

    def attach(self, work: asyncio.Task[Any]) -> None:
        """Set the asyncio task that is stopped when the lease is lost."""
        self._work = work
        if self._stopped:
            self.stop()

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call this once when a client cancels the image; at once if that has happened already."""
        self._on_cancel = callback
        if self.cancel_requested:
            callback()

    def request_cancel(self) -> None:
        """A client cancels the image. Idempotent."""
        if self.cancel_requested:
            return
        self.cancel_requested = True
        if self._on_cancel is not None:
            self._on_cancel()

    def lose_lease(self) -> None:
        """Another worker may hold the task now: stop the local work."""
        self.lost = True
        self.stop()

    def stop(self) -> None:
        """Stop the local work, even if it has yet to begin; it releases what it holds as it unwinds.

        Repeated until the work has ended: Python 3.11's `wait_for`, in which redis-py sends, swallows a
        cancellation that arrives together with its result (bpo-37658).
        """
        self._stopped = True
        if self._work is not None and not self._work.done():
            self._work.cancel()
            asyncio.get_running_loop().call_later(_REPEAT_CANCEL_S, self.stop)


class RunningTasks:
    """The running tasks of all queues, by id."""

    def __init__(self) -> None:
        self._tasks: dict[str, RunningTask] = {}

    def add(self, task: RunningTask) -> None:
        """Register a task that has been claimed."""
        self._tasks[task.task_id] = task

    def remove(self, task: RunningTask) -> None:
        """Unregister a task; a later claim of the same id stays."""
        if self._tasks.get(task.task_id) is task:
            del self._tasks[task.task_id]

    def get(self, task_id: str) -> RunningTask | None:
        """The running task with this id."""
        return self._tasks.get(task_id)

    def __getitem__(self, task_id: str) -> RunningTask:
        return self._tasks[task_id]

    def __len__(self) -> int:
        return len(self._tasks)
