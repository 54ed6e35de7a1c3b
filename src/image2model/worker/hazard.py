"""Hazardous steps, in which what comes from outside could end the process: decoding, measuring.

Who calls it: `submit` and the fetching of results. C code that decodes what strangers send can end a
process, and so can anybody with `kill`. An image that was in such a step when its worker's lease ran out is
a suspect: its step runs in a process of its own from then on, one suspect at a time, so that it harms nobody,
and the death of that process by itself counts against it alone. Should its whole worker keep dying before
that process has answered, the worker does nothing else of the kind beside it, and its own death counts too.
Five such end a picture with `worker_crashed`, and leave a model unmeasured. A step that hangs in this process
counts like such a death, and makes a suspect of its image: a thread cannot be ended, but a process can. An
image that has come through is a suspect no longer.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final, Self, TypeVar

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.store import images
from image2model.store.images import Task
from image2model.store.leases import MOST_CRASHES
from image2model.worker.decoder_process import LONGEST_S, DecoderDied, DecoderProcess

_log: Final = structlog.get_logger("worker.hazard")

THREADS: Final = 2
"""Pictures decoded at once: 20 megapixels take 60 MB."""
_MARKED: Final = THREADS + 1
"""One more tells the store that it begins, while the others decode."""
_DEATHS_BESIDE_OTHERS: Final = 3
"""After so many deaths of its worker a suspect runs alone."""

T = TypeVar("T")


class Suspect(msgspec.Struct, frozen=True):
    """An image about to enter such a step, as its holder has loaded it.

    `deaths`: of workers while it was in one and had no answer; `crashes`: those that are its own fault.
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
    """Belongs to one event loop. `decoder` is where suspects run; what takes `longest_s` here has hung."""

    def __init__(self, redis: Redis, decoder: DecoderProcess, *, longest_s: float = LONGEST_S) -> None:
        self._redis = redis
        self._decoder = decoder
        self._longest_s = longest_s
        self._threads = _new_threads()
        self._slots = asyncio.Semaphore(_MARKED)
        self._child = asyncio.Lock()
        self._gate = _Gate()

    def close(self) -> None:
        """Let the threads and the process go; what they still decode is of no use to anybody."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._decoder.close()

    async def aclose(self) -> None:
        """The same, and wait for the process's end."""
        self.close()
        await self._decoder.aclose()

    async def run(self, suspect: Suspect, call: Callable[[], T]) -> T:
        """The result of `call`, which can be pickled. Raises what it raises, StaleFence and DecoderDied."""
        if suspect.deaths == 0:
            result = await self._in_thread(suspect, call)
        else:
            result = await self._in_child(suspect, call)
        await images.leave_hazard(self._redis, suspect.image_id, suspect.fence)
        return result

    async def tried(self, suspect: Suspect | None, call: Callable[[], T]) -> T | None:
        """The same for what can be done without: None where it is too dangerous.

        Without a `suspect` no lease tells of a death, so it is not risked in this process at all.
        """
        if suspect is not None and suspect.crashes >= MOST_CRASHES:
            return None
        for _ in range(MOST_CRASHES):
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

    async def _in_thread(self, suspect: Suspect, call: Callable[[], T]) -> T:
        async with self._gate.beside_others(), self._slots:
            await images.enter_hazard(self._redis, suspect.image_id, suspect.fence, alone=False)
            return await self._threaded(call)

    async def _threaded(self, call: Callable[[], T]) -> T:
        """Raises DecoderDied where it hangs: its thread is left to itself, and new ones take over."""
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
            await images.enter_hazard(self._redis, suspect.image_id, suspect.fence, alone=alone)
            return await self._decoder.run(call)

    async def _alone_in_child(self, call: Callable[[], T]) -> T:
        async with self._gate.beside_others(), self._child:
            return await self._decoder.run(call)


def _new_threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="decode")


class _Gate:
    """Many pass beside each other, or one alone; who waits to be alone lets nobody else in."""

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
