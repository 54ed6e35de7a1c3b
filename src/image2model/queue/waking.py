"""How this process learns of new work: from every notification while it has tasks, else by being woken.

A notification that all workers received would cost a hundred idle ones more than the picture. So one without
tasks leaves the common channel, and registers with the pick that finds nothing. A script that queues a task
wakes a few of those where no other is there, or may be busy (`store/lua/queue.lua`).
"""

import asyncio
import time
from typing import Final

_LINGERS_S: Final = 1.0
"""After its last task: the next one often follows, and leaving and joining are commands too."""


class Waking:
    """The state of one process. `hears_all`: the store delivers every notification to it. `wanted` is set
    when it should, and the task that waits for it clears it. It belongs to one event loop."""

    def __init__(self) -> None:
        self.hears_all = True
        self.wanted = asyncio.Event()
        self._busy_at = time.monotonic()

    def note_task(self) -> None:
        """This process has claimed a task: it needs every notification."""
        self._busy_at = time.monotonic()
        if not self.hears_all:
            self.wanted.set()

    def may_rest(self, running: int) -> bool:
        """Whether it can leave the common channel now. `running`: its tasks."""
        if running:
            self._busy_at = time.monotonic()
        return self.hears_all and time.monotonic() - self._busy_at >= _LINGERS_S
