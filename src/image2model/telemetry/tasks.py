"""Counts the asyncio tasks of a process, so that a leak of tasks shows before it takes the memory.

The worker runs `count_tasks` beside its other loops, the API in its lifespan. A gauge that is read when
somebody asks would not do: the processes under `up` share their metrics as files.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from image2model.telemetry.metrics import EVENT_LOOP_TASKS

COUNT_S: Final = 5.0
"""How often. It walks all tasks: 20,000 of them, two for each of 10,000 event streams, take 6 ms."""


async def count_tasks(process: str) -> None:
    """Set the gauge again and again, until cancelled. `process` is its label."""
    gauge = EVENT_LOOP_TASKS.labels(process)
    while True:
        gauge.set(len(asyncio.all_tasks()))
        await asyncio.sleep(COUNT_S)


@asynccontextmanager
async def tasks_counted(process: str) -> AsyncIterator[None]:
    """Count them while the block runs."""
    counting = asyncio.create_task(count_tasks(process))
    try:
        yield
    finally:
        counting.cancel()
        with suppress(asyncio.CancelledError):
            await counting
