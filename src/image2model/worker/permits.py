"""The last gate before a POST: a place of this worker and a permit of the fleet.

Who calls it: `submit`, with the picture already at FAL's storage, so that a permit that comes free is used
at once. The image that waits longest in this worker asks for all of them.
"""

import asyncio
from typing import Final

from image2model.store import images
from image2model.store.images import Permit
from image2model.worker.context import WorkerContext
from image2model.worker.running import RunningTask

_ASK_AGAIN_S: Final = 0.25
"""For the bell that is not heard."""


class Paused(Exception):
    """Nothing was sent, by nobody's fault: generations were paused meanwhile, or the store was away."""


async def take(context: WorkerContext, running: RunningTask, *, attempt_token: str, url: str) -> None:
    """Wait for a permit and write the intent. Raises StaleFence, and Paused."""
    await running.take_place(context.places)
    async with context.next_permit:
        while True:
            context.ready.clear()
            permit = await images.take_permit(
                context.redis,
                running.task_id,
                running.token,
                max_permits=context.settings.max_concurrent,
                attempt_token=attempt_token,
                url=url,
            )
            if permit is Permit.GRANTED:
                return
            if permit is Permit.PAUSED:
                raise Paused
            try:
                async with asyncio.timeout(_ASK_AGAIN_S):
                    await context.ready.wait()
            except TimeoutError:
                continue
