"""Decodes and measures files from outside, which may end the process that does it.

A healthy picture is decoded in a thread of the worker. The steps that move it to `preparing` and to `storing`
mark it in the store. If the worker dies, the sweep knows which images were prepared or measured. They are
suspects: from then on they run in a decoder process, one at a time; after more deaths, with nothing else
beside them. They mark each call, so that only one that was at it is blamed. The death of the decoder process
harms only the call that it was at.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final, Self, TypeVar

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.decoding.process import LONGEST_S, DecoderDied, DecoderProcess
from image2model.generation import steps
from image2model.generation.loading import Task
from image2model.queue.leases import MAX_CRASHES

_log: Final = structlog.get_logger(__name__)

THREADS: Final = 2
"""Pictures decoded at once: 20 megapixels take 60 MB."""
_ADMITTED: Final = THREADS + 1
"""One more is there when a thread becomes free."""
_DEATHS_BESIDE_OTHERS: Final = 3
"""After so many deaths of its worker a suspect runs alone."""

T = TypeVar("T")


class Suspect(msgspec.Struct, frozen=True):
    """An image about to enter a hazardous step, as its holder has loaded it.

    `deaths`: how many workers died while it was in one; `crashes`: how many of them by its own fault.
    """

    image_id: str
    fence: str
    deaths: int
    crashes: int

    @classmethod
    def of(cls, task: Task, fence: str) -> Self:
        """The image of a task."""
        return cls(task.image_id, fence, task.hazard_deaths, task.crashes)


class Hazard:
    """Runs hazardous calls. Belongs to one event loop.

    Suspects run in `decoder`. A call in a thread that takes `longest_s` has hung.
    """

    def __init__(self, redis: Redis, decoder: "DecoderProcess", *, longest_s: float = LONGEST_S) -> None:
        self._redis = redis
        self._decoder = decoder
        self._longest_s = longest_s
        self._threads = _new_threads()
        self._slots = asyncio.Semaphore(_ADMITTED)
        self._child = asyncio.Lock()
        self._gate = _Gate()

    async def run(self, suspect: Suspect, call: Callable[[], T]) -> T:
        """The result of `call`, which must be picklable. Raises what it raises, StaleFence, DecoderDied."""
        if suspect.deaths == 0:
            return await self._in_thread(call)
        result = await self._in_child(suspect, call)
        await steps.leave_hazard(self._redis, suspect.image_id, suspect.fence)
        return result

    async def run_if_safe(self, suspect: Suspect | None, call: Callable[[], T]) -> T | None:
        """The same for a call that may be left out: None if it is too dangerous.

        Without a `suspect` no lease would reveal a death, so the call never runs in this process.
        """
        if suspect is not None and suspect.crashes >= MAX_CRASHES:
            return None
        for _ in range(MAX_CRASHES):
            try:
                if suspect is None:
                    return await self._alone_in_child(call)
                return await self.run(suspect, call)
            except DecoderDied as died:
                image_id = suspect.image_id if suspect else None
                _log.error("decoder_died", image_id=image_id, reason=str(died))
                if suspect is not None and suspect.deaths == 0:
                    suspect = msgspec.structs.replace(suspect, deaths=1)  # never again in a thread
        return None

    def close(self) -> None:
        """Release the threads and end the process; what they still decode is of no use."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._decoder.close()

    async def aclose(self) -> None:
        """Close, and wait for the end of the process."""
        self.close()
        await self._decoder.aclose()

    async def _in_thread(self, call: Callable[[], T]) -> T:
        async with self._gate.beside_others(), self._slots:
            return await self._threaded(call)

    async def _threaded(self, call: Callable[[], T]) -> T:
        """Raises DecoderDied if it hangs: its thread is abandoned, and new ones take over."""
        while True:
            threads = self._threads
            working = threads.submit(call)
            answer = asyncio.wrap_future(working)
            try:
                await asyncio.wait([answer], timeout=self._longest_s)
            except asyncio.CancelledError:
                answer.cancel()
                raise
            if working.done():
                return await answer
            if working.cancel():
                continue  # it has not begun, behind others that hang
            answer.cancel()
            if threads is self._threads:
                self._threads = _new_threads()
                threads.shutdown(wait=False)
            raise DecoderDied(f"it had no end after {self._longest_s:g} s in a thread")

    async def _in_child(self, suspect: Suspect, call: Callable[[], T]) -> T:
        alone = suspect.deaths >= _DEATHS_BESIDE_OTHERS
        async with self._gate.alone() if alone else self._gate.beside_others(), self._child:
            await steps.enter_hazard(self._redis, suspect.image_id, suspect.fence, alone=alone)
            return await self._decoder.run(call)

    async def _alone_in_child(self, call: Callable[[], T]) -> T:
        async with self._gate.beside_others(), self._child:
            return await self._decoder.run(call)


def _new_threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="decode")


class _Gate:
    """Admits many at once, or one alone. One that waits to be alone admits no others meanwhile."""

    def __init__(self) -> None:
        self._inside = 0
        self._alone = asyncio.Lock()
        self._empty = asyncio.Event()
        self._empty.set()

    @asynccontextmanager
    async def beside_others(self) -> AsyncIterator[None]:
        async with self._alone:
            self._inside += 1
            self._empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        async with self._alone:
            await self._empty.wait()
            yield
