"""Runs an operation so that it is over when its caller goes on, even when the caller is cancelled.

Only `objects` and `streamed_put` use it. obstore's local writes go on in a thread after their future was
cancelled: a put that was cancelled could otherwise appear after its job had been cleaned away.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def settled(operation: Coroutine[Any, Any, T], deadline_s: float) -> T:
    """The operation's result. Raises TimeoutError after `deadline_s` seconds, and gives it up.

    When this is cancelled it first waits for the operation's own end, at most that long.
    """
    task = asyncio.create_task(operation)
    try:
        return await asyncio.wait_for(asyncio.shield(task), deadline_s)
    except TimeoutError:
        task.cancel()
        raise
    except asyncio.CancelledError:
        await ended(task, deadline_s)
        raise


async def ended(task: asyncio.Task[Any], deadline_s: float) -> None:
    """Wait until the task has ended, whichever way; give it up after `deadline_s` seconds."""
    done, _ = await asyncio.wait({task}, timeout=deadline_s)
    if not done:
        task.cancel()
    elif not task.cancelled():
        task.exception()  # looked at: the caller's own reason to stop is the one to tell
