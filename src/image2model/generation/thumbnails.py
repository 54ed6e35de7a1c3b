"""Thumbnails ahead of whoever looks: the preflight has made one, it is stored once the picture is at FAL.

Who calls it: `submit`. It is never waited for, and fails without a trace for the image: whoever looks for a
thumbnail that is missing has it made then.
"""

import asyncio

import structlog

from image2model.jobs.thumbnails import UploadedPicture, keep
from image2model.storage.errors import StorageError
from image2model.storage.objects import ObjectStorage
from image2model.telemetry.unexpected import report_unexpected

_log = structlog.get_logger("worker.thumbnails")


class ThumbnailsAhead:
    """Those that are being stored by this process."""

    def __init__(self, storage: ObjectStorage) -> None:
        self._storage = storage
        self._tasks: set[asyncio.Task[None]] = set()

    def keep_soon(self, picture: UploadedPicture, webp: bytes) -> None:
        """Begin, and return at once."""
        task = asyncio.create_task(self._keep(picture, webp))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Stop what is under way."""
        for task in self._tasks:
            task.cancel()

    async def _keep(self, picture: UploadedPicture, webp: bytes) -> None:
        try:
            await keep(self._storage, picture, webp)
        except StorageError as error:
            _log.info("thumbnail_not_made", image_id=picture.image_id, reason=str(error))
        except Exception as error:  # noqa: BLE001 - told; a thumbnail can be made again
            report_unexpected("thumbnail", error, image_id=picture.image_id)
