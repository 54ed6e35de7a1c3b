"""A blocking call is over when its caller goes on, also when the caller is cancelled."""

import asyncio
import threading
from contextvars import ContextVar

import pytest

from image2model.shielded import in_thread

_of_the_caller: ContextVar[str] = ContextVar("of_the_caller")


class Slow:
    """A call that ends when it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun = asyncio.Event()
        self.over = False
        self._loop = asyncio.get_running_loop()
        self._go_on = threading.Event()
        self._error = error

    def __call__(self) -> None:
        self._loop.call_soon_threadsafe(self.begun.set)
        assert self._go_on.wait(10)
        self.over = True
        if self._error:
            raise self._error

    def end(self) -> None:
        self._go_on.set()


async def test_result_and_error_and_context_come_through() -> None:
    _of_the_caller.set("mine")
    assert await in_thread(_of_the_caller.get) == "mine"
    assert await in_thread(int, "11", base=2) == 3
    with pytest.raises(ValueError, match="invalid literal"):
        await in_thread(int, "eleven")


@pytest.mark.parametrize("error", [None, OSError("of the call")])
async def test_cancelled_caller_waits_however_often_it_is_cancelled(error: Exception | None) -> None:
    call = Slow(error)
    caller = asyncio.create_task(in_thread(call))
    await call.begun.wait()
    for _ in range(3):
        caller.cancel()
        await asyncio.wait({caller}, timeout=0.02)
        assert not caller.done()
    call.end()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert call.over
