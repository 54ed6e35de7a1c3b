"""What happens to a complete file while the next one still arrives: hash, inspection, sink.

Who calls it: the form reader. At most a few files of an upload are in here at once, so memory stays
bounded whatever the sink's pace. A sink that was begun is always waited for, also when the upload fails:
whoever must delete what it stored can then rely on nothing appearing later.
"""

import asyncio
import hashlib
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from image2model.errors import FileProblem
from image2model.http.upload.budget import Reservation
from image2model.http.upload.part import FilePart
from image2model.http.upload.received import BadFile, Inspect, ReceivedFile, Sink
from image2model.shielded import in_thread


class FilePipeline:
    """The files of one upload, in any order. A context manager that ends when nothing is under way."""

    def __init__(self, inspect: Inspect, sink: Sink, reservation: Reservation, in_flight: int) -> None:
        self.inspect = inspect
        self._sink = sink
        self._reservation = reservation
        self._slots = asyncio.Semaphore(in_flight)
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

    def stop(self) -> None:
        """Begin no further sink: the upload is refused whatever follows."""
        self._stopped = True

    def refuse(self, part: FilePart, problem: FileProblem) -> None:
        """Note a file that is known to be bad."""
        self._bad.append(BadFile(part.index, part.filename, problem))

    async def put(self, part: FilePart) -> None:
        """Take over a complete file as soon as there is room; raises what an earlier file's sink raised."""
        await self._slots.acquire()
        self._raise_failure()
        self._start(self._finish(part))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._slots.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = self._failure or error
            self.stop()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _finish(self, part: FilePart) -> None:
        try:
            await self._store(part)
        except FileProblem as problem:
            self.refuse(part, problem)
        finally:
            self._reservation.release(part.held)

    async def _store(self, part: FilePart) -> None:
        file, data = await in_thread(examine, part, self.inspect)
        if not self._stopped:
            await self._sink(file, data)
            self._good.append(file)


def examine(part: FilePart, inspect: Inspect) -> tuple[ReceivedFile, bytes]:
    """Join, inspect and hash a complete file; blocks, so it runs in a thread. Raises `FileProblem`."""
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
    )
    return file, data
