"""Thumbnails ahead of whoever looks: made once a picture is at FAL, where it stays for minutes anyway.

Who calls it: `generate`. It is never waited for, takes one thread, and fails without a trace for the image:
whoever looks for a thumbnail that is missing has it made then.
"""

import asyncio

import structlog

from image2model.errors import NotFound
from image2model.service.thumbnails import SourcePicture, Thumbnails
from image2model.storage.errors import StorageError

_log = structlog.get_logger("worker.thumbnails")


class ThumbnailsAhead:
    """Those that are under way in this process. Waiting ones hold no picture in memory."""

    def __init__(self, thumbnails: Thumbnails) -> None:
        self._thumbnails = thumbnails
        self._tasks: set[asyncio.Task[None]] = set()

    def make_soon(self, picture: SourcePicture) -> None:
        """Begin, and return at once."""
        task = asyncio.create_task(self._make(picture))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Stop what is under way."""
        for task in self._tasks:
            task.cancel()

    async def _make(self, picture: SourcePicture) -> None:
        try:
            await self._thumbnails.get(picture)
        except (NotFound, StorageError) as error:
            _log.info("no thumbnail", image_id=picture.image_id, reason=str(error))
