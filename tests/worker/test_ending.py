"""A process ends although one of its tasks swallows a cancellation."""

import asyncio

from image2model.worker.process import end_other_tasks


class Stubborn:
    """Swallows as many cancellations as told, as redis-py does on Python 3.11."""

    def __init__(self, times: int) -> None:
        self.left = times

    async def run(self) -> None:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if not self.left:
                    raise
                self.left -= 1


async def test_task_that_swallows_its_cancellation_is_asked_again() -> None:
    async def in_a_group() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(Stubborn(2).run())
            group.create_task(Stubborn(0).run())

    tasks = [asyncio.create_task(in_a_group()), asyncio.create_task(Stubborn(1).run())]
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await end_other_tasks()
    assert all(task.done() for task in tasks)
