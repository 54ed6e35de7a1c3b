"""Waiting for a condition in tests: never a fixed sleep."""

import asyncio
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable


def wait_until(condition: Callable[[], bool], *, timeout: float = 60.0) -> None:
    """Poll `condition` every 10 ms until it holds; AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {timeout} s")
        time.sleep(0.01)


async def until(condition: Callable[[], Awaitable[bool]], *, timeout: float = 60.0) -> None:
    """The same for a condition that is awaited."""
    async with asyncio.timeout(timeout):
        while not await condition():
            await asyncio.sleep(0.02)


def until_listening(port: int, process: subprocess.Popen[bytes], *, timeout: float = 60.0) -> None:
    """Until a program accepts connections on loopback. AssertionError if it ends first."""

    def listening() -> bool:
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    wait_until(listening, timeout=timeout)
