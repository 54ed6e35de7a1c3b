"""Waiting for a condition in tests: never a fixed sleep."""

import asyncio
import time
from collections.abc import Awaitable, Callable


def wait_until(condition: Callable[[], bool], *, timeout: float = 10.0) -> None:
    """Poll `condition` every 10 ms until it holds; AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {timeout} s")
        time.sleep(0.01)


async def until(condition: Callable[[], Awaitable[bool]], *, timeout: float = 20.0) -> None:
    """The same for a condition that is awaited."""
    async with asyncio.timeout(timeout):
        while not await condition():
            await asyncio.sleep(0.02)
