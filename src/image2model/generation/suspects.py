"""The worker's side of the process in which suspects are decoded: started when first needed, then kept.

Who calls it: `hazard`, with one call at a time. Its death harms nobody but the call that it was at.
"""

import asyncio
import pickle
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Final, Self, TypeVar, cast

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.errors import ImageFailure
from image2model.generation import steps
from image2model.generation.decoder_child import LENGTH_BYTES
from image2model.generation.steps import Task
from image2model.queue.leases import MAX_CRASHES
from image2model.telemetry import metrics

_log: Final = structlog.get_logger("worker.decoder_process")

PROGRAM: Final = "image2model.generation.decoder_child"
LONGEST_S: Final = 120.0
"""A call that takes longer has hung; the largest picture takes seconds."""

T = TypeVar("T")


class DecoderDied(Exception):
    """The process ended by itself, or had to be ended because it hung, while it was at this call."""


class DecoderProcess:
    """Belongs to one event loop; the caller sees to it that calls come one at a time."""

    def __init__(self, program: str = PROGRAM, *, longest_s: float = LONGEST_S) -> None:
        self._command = (sys.executable, "-m", program)
        self._longest_s = longest_s
        self._process: Process | None = None

    async def run(self, call: Callable[[], T]) -> T:
        """The call's result; `call` must be one that can be pickled.

        Raises DecoderDied, ImageFailure as the call does, and RuntimeError for any other error of it.
        """
        message = pickle.dumps(call, pickle.HIGHEST_PROTOCOL)
        process = await self._started()
        try:
            async with asyncio.timeout(self._longest_s):
                kind, content = pickle.loads(await _asked(process, message))  # noqa: S301 - from our own child
        except (asyncio.IncompleteReadError, BrokenPipeError, ConnectionResetError):
            self._process = None
            raise _died(_cause(await process.wait())) from None
        except TimeoutError:
            await self._end()
            raise _died(f"it had no end after {self._longest_s:g} s") from None
        except BaseException:
            await self._end()  # an answer that nobody waits for would be taken for the next call's
            raise
        return cast("T", _unpacked(kind, content))

    def close(self) -> None:
        """End it."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def aclose(self) -> None:
        """End it, and wait for that."""
        await self._end()

    async def _started(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE, stdout=PIPE)
            _log.info("decoder_started", pid=self._process.pid)
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _died(reason: str) -> DecoderDied:
    metrics.DECODER_DEATHS.inc()
    return DecoderDied(reason)


async def _asked(process: Process, message: bytes) -> bytes:
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(len(message).to_bytes(LENGTH_BYTES, "big"))
    process.stdin.write(message)
    await process.stdin.drain()
    size = int.from_bytes(await process.stdout.readexactly(LENGTH_BYTES), "big")
    return await process.stdout.readexactly(size)


def _unpacked(kind: str, content: object) -> object:
    if kind == "result":
        return content
    if kind == "failure":
        code, message, retryable, fal_type = cast("tuple[str, str, bool, str | None]", content)
        raise ImageFailure(code, message, retryable=retryable, fal_type=fal_type)
    raise RuntimeError(f"in the decoder's process: {content}")


def _cause(status: int) -> str:
    if status >= 0:
        return f"it ended with status {status}"
    try:
        return f"{signal.Signals(-status).name} ended it"
    except ValueError:
        return f"signal {-status} ended it"


THREADS: Final = 2
"""Pictures decoded at once: 20 megapixels take 60 MB."""
_MARKED: Final = THREADS + 1
"""One more tells the store that it begins, while the others decode."""
_DEATHS_BESIDE_OTHERS: Final = 3
"""After so many deaths of its worker a suspect runs alone."""


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
        await steps.leave_hazard(self._redis, suspect.image_id, suspect.fence)
        return result

    async def tried(self, suspect: Suspect | None, call: Callable[[], T]) -> T | None:
        """The same for what can be done without: None where it is too dangerous.

        Without a `suspect` no lease tells of a death, so it is not risked in this process at all.
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

    async def _in_thread(self, suspect: Suspect, call: Callable[[], T]) -> T:
        async with self._gate.beside_others(), self._slots:
            await steps.enter_hazard(self._redis, suspect.image_id, suspect.fence, alone=False)
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
            await steps.enter_hazard(self._redis, suspect.image_id, suspect.fence, alone=alone)
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
