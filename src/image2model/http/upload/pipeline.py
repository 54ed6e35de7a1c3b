"""The complete files of one upload on their way to its sink: hashed and inspected, large ones in threads."""

import asyncio
import hashlib
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Final, Self

from image2model.errors import FileProblem
from image2model.http.upload.form import FilePart, Inspect
from image2model.http.upload.limits import Reservation
from image2model.http.upload.received import BadFile, ReceivedFile, Sink
from image2model.shielded import in_thread

_SMALL: Final = 256 << 10
"""Bytes of a file that is examined on the event loop, in under a millisecond: the way into a thread and back
costs more CPU than that."""


class FilePipeline:
    """The complete files of one upload: hash, inspection, sink, in any order.

    A context manager that ends when no file is in work. It always waits for a sink that has begun, also when
    the upload fails: a caller that deletes what its sink stored can rely on nothing appearing later.
    """

    def __init__(self, inspect: Inspect, sink: Sink, reservation: Reservation, in_flight: int) -> None:
        self.inspect = inspect
        self._sink = sink
        self._reservation = reservation
        self._in_flight = in_flight
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._stopped = False
        self._good: list[ReceivedFile] = []
        self._bad: list[BadFile] = []

    @property
    def good(self) -> tuple[ReceivedFile, ...]:
        """The good files in the order of the body."""
        return tuple(sorted(self._good, key=lambda file: file.index))

    @property
    def bad(self) -> tuple[BadFile, ...]:
        """The bad files in the order of the body."""
        return tuple(sorted(self._bad, key=lambda file: file.index))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.stop()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if error is None:
            self._raise_failure()
        self._failure = None

    def stop(self) -> None:
        """Begin no further sink: the upload is refused whatever follows."""
        self._stopped = True

    def refuse(self, part: FilePart, problem: FileProblem) -> None:
        """Note a file that is known to be bad."""
        self._bad.append(BadFile(part.index, part.filename, problem, part.place))

    async def put(self, part: FilePart) -> None:
        """Accept a complete file as soon as fewer than `in_flight` are in work. Raises what an earlier file's
        sink raised.

        Where uploads hold much of the memory, returns when no file is in work any more: the next one arrives
        when the memory of this one is free, and other uploads use the time.
        """
        while len(self._tasks) >= self._in_flight:
            await self._one_ended()
        self._raise_failure()
        self._start(self._finish(part))
        while self._tasks and not self._reservation.roomy:
            await self._one_ended()

    async def _one_ended(self) -> None:
        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = self._failure or error
            self.stop()

    def _raise_failure(self) -> None:
        # The failure's traceback refers to this pipeline and to the files' bytes. If the pipeline kept it,
        # the cycle would hold them until the garbage collector runs.
        failure, self._failure = self._failure, None
        try:
            if failure is not None:
                raise failure
        finally:
            del failure

    async def _finish(self, part: FilePart) -> None:
        try:
            file, data = await self._examined(part)
            if not self._stopped:
                await self._sink(file, data)
                self._good.append(file)
        except FileProblem as problem:
            self.refuse(part, problem)
        finally:
            self._reservation.release(part.held)

    async def _examined(self, part: FilePart) -> tuple[ReceivedFile, bytes]:
        if part.size <= _SMALL:
            return _examine(part, self.inspect)
        async with self._reservation.examining:
            return await in_thread(_examine, part, self.inspect)


def _examine(part: FilePart, inspect: Inspect) -> tuple[ReceivedFile, bytes]:
    """Join, inspect and hash a complete file. Raises `FileProblem`."""
    data = part.take()
    picture = inspect(data)
    file = ReceivedFile(
        index=part.index,
        filename=part.filename,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        format=picture.format,
        width=picture.width,
        height=picture.height,
        place=part.place,
        frames=picture.frames,
    )
    return file, data
