"""Shielded operations: a cancelled caller waits until its thread or task has ended.

Needed where the thread shares something that its caller closes or removes afterwards: an SQLite database that
is closed while a thread executes a statement crashes the process. A calculation on which nothing depends can
use `asyncio.to_thread`, which leaves its thread running.
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
    """Run `call` in a thread; return or raise what it does. A cancellation waits for the end of the call."""
    bound = partial(contextvars.copy_context().run, call, *args, **kwargs)
    work = asyncio.get_running_loop().run_in_executor(None, bound)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({work})
        if not work.cancelled():
            work.exception()  # retrieved, so that it is not logged: the caller raises its own exception
        raise


async def run_to_end(operation: Coroutine[Any, Any, T] | asyncio.Future[T], deadline_s: float) -> T:
    """Run an operation and return its result. After `deadline_s` seconds cancel it and raise TimeoutError.

    A cancelled caller first waits for the end of the operation, at most `deadline_s` seconds.
    """
    task = asyncio.ensure_future(operation)
    try:
        done, _ = await asyncio.wait({task}, timeout=deadline_s)  # half the cost of `wait_for` with `shield`
    except asyncio.CancelledError:
        await wait_for_end(task, deadline_s)
        raise
    if not done:
        task.cancel()
        raise TimeoutError
    return task.result()


async def wait_for_end(task: asyncio.Future[Any], deadline_s: float) -> None:
    """Wait until the task has ended in any way; cancel it after `deadline_s` seconds."""
    done, _ = await asyncio.wait({task}, timeout=deadline_s)
    if not done:
        task.cancel()
    elif not task.cancelled():
        task.exception()  # retrieved, so that it is not logged: the caller raises its own exception
