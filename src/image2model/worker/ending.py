"""The end of a process: every task is cancelled until it has ended, and nothing holds it up for ever.

Who calls it: the process, once it has let go of everything.
"""

import asyncio
import os
import threading
from typing import Final

_ASK_AGAIN_S: Final = 0.05


async def end_other_tasks() -> None:
    """Cancel every other task of this loop, again and again until all have ended.

    Once is not enough: Python 3.11's `wait_for`, in which redis-py sends, swallows a cancellation that
    arrives together with its result (bpo-37658), and a task group passes on only the first one.
    """
    this = asyncio.current_task()
    while others := {task for task in asyncio.all_tasks() if task is not this}:
        for task in others:
            task.cancel()
        await asyncio.wait(others, timeout=_ASK_AGAIN_S)


def exit_after(seconds: float) -> None:
    """The hard deadline: a process that still hangs then ends with 1."""
    deadline = threading.Timer(seconds, os._exit, (1,))
    deadline.daemon = True
    deadline.start()
