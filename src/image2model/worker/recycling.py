"""When a worker is to be replaced by a new process: after so many images, or with so much memory.

Libraries that decode pictures can leak, and an allocator can keep what it once had; a new process does not.
Nothing here ends the process: `WorkerProcess.run` drains it first.
"""

import asyncio
import os
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from image2model.settings import Settings

_LOOK_S: Final = 1.0
_LEAST_RUN_S: Final = 60.0
"""A bound below what a new process needs must not make workers that only start and end."""
_STATM: Final = Path("/proc/self/statm")


class Recycling:
    """The bounds of one process, both optional. It belongs to one event loop."""

    def __init__(self, settings: Settings, *, least_run_s: float = _LEAST_RUN_S) -> None:
        self._most_images = settings.worker_max_images
        self._most_memory = settings.worker_max_memory
        self._memory_counts_at = time.monotonic() + least_run_s
        self._images = 0
        self._enough = asyncio.Event()

    def note_end(self) -> None:
        """An image has ended here."""
        self._images += 1
        if self._most_images is not None and self._images >= self._most_images:
            self._enough.set()

    async def due(self) -> dict[str, int]:
        """Wait until a bound is reached. Returns images and memory in bytes, for the log."""
        pause = None if self._most_memory is None else _LOOK_S
        while not (self._enough.is_set() or self._is_large()):
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._enough.wait()
        return {"images": self._images, "memory": memory_bytes()}

    def _is_large(self) -> bool:
        if self._most_memory is None or time.monotonic() < self._memory_counts_at:
            return False
        return memory_bytes() > self._most_memory


def memory_bytes() -> int:
    """What this process holds in memory now; its peak where the system does not say that."""
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
