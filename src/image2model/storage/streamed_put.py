"""A multipart upload of a stream: the producer's chunks go one at a time to obstore, which uploads them.

obstore pulls the chunks in tasks of its own, so a producer that fails or is cancelled must be able to end the
upload from outside: `ChunkQueue.fail` does that. A failed upload leaves no object.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable
from pathlib import Path
from typing import BinaryIO, Self

import obstore

from image2model.shielded import in_thread, wait_for_end
from image2model.storage.directories import in_its_directory
from image2model.storage.errors import StorageError, translated
from image2model.storage.local_folder import LocalFolder
from image2model.storage.signing import Store

# S3 takes parts of 5 MiB and more. In memory: at most two in flight, one filling, the head, a chunk waiting.
PART_BYTES = 8 * 1024 * 1024
_PARTS_IN_FLIGHT = 2
_FILE_CHUNK_BYTES = 1024 * 1024


class StreamedPut:
    """One multipart upload of `key`."""

    def __init__(
        self,
        store: Store,
        folder: LocalFolder | None,
        key: str,
        attributes: "obstore.Attributes | None",
        deadline_s: float,
    ) -> None:
        self._store = store
        self._folder = folder
        self._key = key
        self._attributes = attributes
        self._deadline_s = deadline_s

    async def run(self, head: list[bytes], chunks: AsyncIterator[bytes]) -> int:
        """Upload the head, then the rest. Returns the size in bytes. Raises as obstore and `chunks` do."""
        queue = ChunkQueue(head)
        task = asyncio.create_task(self._upload(queue))
        task.add_done_callback(queue.upload_ended)
        try:
            size = sum(map(len, head))
            async for chunk in chunks:
                size += len(chunk)
                await self._in_time(queue.send(chunk))
            await self._in_time(queue.finish())
            await self._in_time(asyncio.shield(task))
        except ChunkQueueClosedError:
            await task  # the upload ended before its producer: its own error says why
            raise
        except BaseException:
            queue.fail()
            await asyncio.shield(wait_for_end(task, self._deadline_s))
            raise
        return size

    async def _upload(self, queue: "ChunkQueue") -> None:
        # obstore pulls the first chunk only after it has made the directory, so this may be repeated.
        with translated(f"put {self._key}"):
            await in_its_directory(
                self._folder,
                self._key,
                lambda: obstore.put_async(
                    self._store, self._key, queue, attributes=self._attributes, use_multipart=True,
                    chunk_size=PART_BYTES, max_concurrency=_PARTS_IN_FLIGHT,
                ),
            )  # fmt: skip

    async def _in_time(self, step: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(self._deadline_s):
                await step
        except TimeoutError as error:
            raise StorageError(f"put {self._key}: the storage did not answer in time") from error


class ChunkQueue:
    """An async iterator over the chunks given to `send`. At most one chunk waits in it."""

    def __init__(self, first: Iterable[bytes]) -> None:
        self._first = list(first)
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)
        self._failed = False
        self._ended = False

    async def send(self, chunk: bytes) -> None:
        """Wait until the previous chunk was taken. Raises ChunkQueueClosedError once the upload has ended."""
        if chunk:
            await self._put(chunk)

    async def finish(self) -> None:
        """End the stream: the upload may complete."""
        await self._put(None)

    def fail(self) -> None:
        """The upload must not complete: its next read raises."""
        self._failed = True
        self._drop_waiting()
        self._chunks.put_nowait(None)

    def upload_ended(self, _: object = None) -> None:
        """Stop accepting chunks: a waiting `send` raises."""
        self._ended = True
        self._drop_waiting()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._failed:
            raise ChunkQueueClosedError
        if self._first:
            return self._first.pop(0)
        chunk = await self._chunks.get()
        if self._failed:
            raise ChunkQueueClosedError
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def _put(self, chunk: bytes | None) -> None:
        if not self._ended:
            await self._chunks.put(chunk)
        if self._ended:
            raise ChunkQueueClosedError

    def _drop_waiting(self) -> None:
        if self._chunks.full():
            self._chunks.get_nowait()


class ChunkQueueClosedError(Exception):
    """The other side has gone: the upload has ended, or the producer has failed."""


async def head_of(chunks: AsyncIterator[bytes], size: int) -> tuple[list[bytes], bool]:
    """The first chunks, up to `size` bytes or a little more, and whether more may follow."""
    head: list[bytes] = []
    held = 0
    async for chunk in chunks:
        head.append(chunk)
        held += len(chunk)
        if held >= size:
            return head, True
    return head, False


async def file_chunks(path: Path) -> AsyncGenerator[bytes, None]:
    """A file's bytes, read in threads. Raises OSError."""
    file: BinaryIO = await in_thread(path.open, "rb")
    try:
        while chunk := await in_thread(file.read, _FILE_CHUNK_BYTES):
            yield chunk
    finally:
        file.close()
