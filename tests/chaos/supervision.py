"""Watches over the suite's own tasks: one that stops, or raises, is a fault of the run with a name.

Who calls it: the driver and the strikes, for everything that they start. A run whose clients or drivers are
gone proves nothing, however well it ends.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Supervisor:
    """The tasks of one run. `faults`: one sentence for each that ended as it should not."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.tasks: dict[str, asyncio.Task[Any]] = {}
        self._over = False

    def lasting(self, name: str, work: Coroutine[Any, Any, object]) -> asyncio.Task[Any]:
        """Start what must go on until the end of the run. Names are unique."""
        return self._start(name, work, self._lasting_ended)

    def finite(self, name: str, work: Coroutine[Any, Any, object]) -> asyncio.Task[Any]:
        """Start what may end, but must not raise or be cancelled."""
        return self._start(name, work, self._finite_ended)

    async def end(self) -> None:
        """Stop all of them: whatever ends from now on does so because we say so."""
        self._over = True
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)

    def _start(
        self,
        name: str,
        work: Coroutine[Any, Any, object],
        ended: Callable[[str, "asyncio.Task[Any]"], None],
    ) -> asyncio.Task[Any]:
        assert name not in self.tasks, name
        task = self.tasks[name] = asyncio.create_task(work, name=name)
        task.add_done_callback(lambda done: None if self._over else ended(name, done))
        return task

    def _lasting_ended(self, name: str, task: asyncio.Task[Any]) -> None:
        self.faults.append(f"{name} stopped although the run went on: {_why(task)}")

    def _finite_ended(self, name: str, task: asyncio.Task[Any]) -> None:
        if task.cancelled() or task.exception() is not None:
            self.faults.append(f"{name} did not come to its end: {_why(task)}")


def _why(task: asyncio.Task[Any]) -> str:
    if task.cancelled():
        return "it was cancelled"
    error = task.exception()
    return f"it returned {task.result()!r}" if error is None else repr(error)
