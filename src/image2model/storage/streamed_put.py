"""A put whose bytes arrive piece by piece: a multipart upload that completes or leaves nothing.

Only `objects` uses it. The producer is awaited here, in the caller's task, and handed to obstore through
a `Feed`; whatever ends the producer early ends the upload by obstore's own abort.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from pathlib import Path
from typing import BinaryIO

import obstore
from obstore.store import LocalStore, MemoryStore, S3Store

from image2model.storage.directories import in_its_directory
from image2model.storage.errors import StorageError
from image2model.storage.failures import translated
from image2model.storage.feed import Feed, FeedClosedError
from image2model.storage.local_folder import LocalFolder
from image2model.storage.settle import ended
from image2model.threads import in_thread

# S3 takes parts of 5 MiB and more. Held at most: two in flight, one filling, the head, one chunk waiting.
PART_BYTES = 8 * 1024 * 1024
_PARTS_IN_FLIGHT = 2
_FILE_CHUNK_BYTES = 1024 * 1024


class StreamedPut:
    """One multipart upload of `key`."""

    def __init__(
        self,
        store: LocalStore | MemoryStore | S3Store,
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
        """Upload the head, then the rest. Returns the size in bytes; raises what obstore or `chunks` does."""
        feed = Feed(head)
        task = asyncio.create_task(self._upload(feed))
        task.add_done_callback(feed.upload_ended)
        try:
            size = sum(map(len, head))
            async for chunk in chunks:
                size += len(chunk)
                await self._in_time(feed.send(chunk))
            await self._in_time(feed.finish())
            await self._in_time(asyncio.shield(task))
        except FeedClosedError:
            await task  # the upload ended before its producer: its own error says why
            raise
        except BaseException:
            feed.fail()
            await asyncio.shield(ended(task, self._deadline_s))
            raise
        return size

    async def _upload(self, feed: Feed) -> None:
        # It asks for the first chunk only after its directory was made, so trying that again is safe.
        with translated(f"put {self._key}"):
            await in_its_directory(
                self._folder,
                self._key,
                lambda: obstore.put_async(
                    self._store, self._key, feed, attributes=self._attributes, use_multipart=True,
                    chunk_size=PART_BYTES, max_concurrency=_PARTS_IN_FLIGHT,
                ),
            )  # fmt: skip

    async def _in_time(self, step: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(self._deadline_s):
                await step
        except TimeoutError as error:
            raise StorageError(f"put {self._key}: the storage did not answer in time") from error


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
