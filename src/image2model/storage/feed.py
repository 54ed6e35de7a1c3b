"""Hands chunks from the coroutine that has them to the one that uploads them, one at a time.

Only `objects` uses it, for streamed puts. obstore pulls from it in tasks of its own, so a producer that
fails or is cancelled must be able to end the upload from outside: that is `fail`.
"""

import asyncio
from collections.abc import Iterable
from typing import Self


class FeedClosedError(Exception):
    """The other side is gone: the upload has ended, or the producer has failed."""


class Feed:
    """An async iterator over what `send` is given. At most one chunk waits in it."""

    def __init__(self, first: Iterable[bytes]) -> None:
        self._first = list(first)
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)
        self._failed = False
        self._ended = False

    async def send(self, chunk: bytes) -> None:
        """Wait until the chunk before was taken. Raises FeedClosedError once the upload has ended."""
        if chunk:
            await self._put(chunk)

    async def finish(self) -> None:
        """No chunk follows: the upload may complete."""
        await self._put(None)

    def fail(self) -> None:
        """The upload must not complete: its next read raises."""
        self._failed = True
        self._make_room()
        self._chunks.put_nowait(None)

    def upload_ended(self, _: object = None) -> None:
        """Nobody reads any more: whoever waits in `send` is told."""
        self._ended = True
        self._make_room()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._failed:
            raise FeedClosedError
        if self._first:
            return self._first.pop(0)
        chunk = await self._chunks.get()
        if self._failed:
            raise FeedClosedError
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def _put(self, chunk: bytes | None) -> None:
        if not self._ended:
            await self._chunks.put(chunk)
        if self._ended:
            raise FeedClosedError

    def _make_room(self) -> None:
        if self._chunks.full():
            self._chunks.get_nowait()
