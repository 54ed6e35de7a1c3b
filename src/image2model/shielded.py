"""Blocking calls in threads that are over when their caller goes on, even when the caller is cancelled.

Who calls it: whatever shares with the thread something that it closes, removes or lets go of afterwards: an
SQLite database closed under a thread that executes a statement ends the process. A calculation that nothing
else depends on can take `asyncio.to_thread`, which leaves its thread behind.
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """What `call` returns or raises. A cancellation, and any further one, waits for the end of the call."""
    bound = partial(contextvars.copy_context().run, call, *args, **kwargs)
    work = asyncio.get_running_loop().run_in_executor(None, bound)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({work})
        if not work.cancelled():
            work.exception()  # looked at: the caller's own reason to stop is the one to tell
        raise


async def run_to_end(operation: Coroutine[Any, Any, T], deadline_s: float) -> T:
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
