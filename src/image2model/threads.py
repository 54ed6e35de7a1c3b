"""Blocking calls in threads that are over when their caller goes on, even when the caller is cancelled.

Who calls it: whatever shares with the thread something that it closes, removes or lets go of afterwards: an
SQLite database closed under a thread that executes a statement ends the process. A calculation that nothing
else depends on can take `asyncio.to_thread`, which leaves its thread behind.
"""

import asyncio
import contextvars
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

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
