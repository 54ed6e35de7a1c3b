"""Thumbnails ahead of whoever looks: the preflight shrinks the picture, the rest is done once it is at FAL.

Who calls it: `submit`. It is never waited for, gives way to everything else, and fails without a trace for
the image: whoever looks for a thumbnail that is missing has it made then.
"""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

import structlog
from PIL import Image

from image2model.media.thumbnail import to_webp
from image2model.service.thumbnails import SourcePicture, keep
from image2model.storage.errors import StorageError
from image2model.storage.objects import ObjectStorage

_log = structlog.get_logger("worker.thumbnails")
_NICENESS: Final = 10
_MOST_WAITING: Final = 256
"""A small picture takes 200 KB until it is encoded."""


class ThumbnailsAhead:
    """Those that are under way in this process, one after the other."""

    def __init__(self, storage: ObjectStorage) -> None:
        self._storage = storage
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="thumbnail", initializer=_give_way)
        self._tasks: set[asyncio.Task[None]] = set()

    def make_soon(self, picture: SourcePicture, small: Image.Image) -> None:
        """Begin, and return at once."""
        if len(self._tasks) >= _MOST_WAITING:
            return
        task = asyncio.create_task(self._make(picture, small))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Stop what is under way."""
        for task in self._tasks:
            task.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _make(self, picture: SourcePicture, small: Image.Image) -> None:
        data = await asyncio.get_running_loop().run_in_executor(self._pool, to_webp, small)
        try:
            await keep(self._storage, picture, data)
        except StorageError as error:
            _log.info("no thumbnail", image_id=picture.image_id, reason=str(error))


def _give_way() -> None:
    """On Linux a thread has a priority of its own; elsewhere this one may be like the others."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
