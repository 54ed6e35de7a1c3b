"""The pictures of a batch that is to become a job: stored before it, and deleted with it where it is refused.

A picture that came as an address is not stored yet; it has its id already.
"""

import asyncio
import secrets
from collections.abc import Collection, Sequence
from typing import Final

from image2model.domain import Preparation, StoredView
from image2model.http.upload import AddressedFile, ReceivedFile
from image2model.jobs.new_jobs import NewImage
from image2model.jobs.objects import GoodFile, ReceivedObject
from image2model.storage import layout
from image2model.storage.objects import ObjectStorage

_COPIES_AT_ONCE: Final = 8
"""Pictures of one job that are copied at the same time for a comparison."""


class Originals:
    """The uploaded pictures of one batch, stored for the job `job_id` that is to be made."""

    def __init__(self, storage: ObjectStorage) -> None:
        self.job_id = new_id()
        self.storage = storage
        self._stored: dict[int, tuple[str, str]] = {}
        self._expected: dict[int, str] = {}
        """Ids of pictures that workers fetch."""
        self._fetch_ids: dict[int, str] = {}
        self._extra: list[str] = []
        """Keys of what is stored beside the pictures."""
        self._copies: list[Originals] = []

    @property
    def job_ids(self) -> tuple[str, ...]:
        """The jobs that are to be made: this one, and those of the copies."""
        return (self.job_id, *(one.job_id for one in self._copies))

    async def put(self, picture: ReceivedFile, data: bytes) -> None:
        """Store one picture. Raises DiskFull, StorageError."""
        key = self.claim(picture)
        await self.storage.put(key, data, content_type=f"image/{picture.format}", filename=picture.filename)

    def claim(self, picture: ReceivedFile) -> str:
        """The key for a picture that is to be stored; it is deleted with the others."""
        file_id = new_id()
        key = layout.original(self.job_id, file_id, picture.format)
        self._stored[picture.index] = (file_id, key)
        return key

    def id_of(self, index: int) -> str:
        """The id of a picture; of an image's first one it is the image's. One that is not stored gets it
        when it is asked for.
        """
        if index in self._stored:
            return self._stored[index][0]
        return self._expected.setdefault(index, new_id())

    def fetch_id(self, received: ReceivedObject) -> str:
        """The id of the fetch of an object's pictures, the same in the copies; empty where all are here."""
        return "" if received.whole else self._fetch_ids.setdefault(received.index, new_id())

    async def copied(self, objects: Sequence[ReceivedObject]) -> "Originals":
        """The pictures of all objects for another job of the same request, which owns its own files.

        They are deleted with these. Raises DiskFull, StorageError.
        """
        copy = Originals(self.storage)
        copy._fetch_ids = self._fetch_ids
        self._copies.append(copy)
        slots = asyncio.Semaphore(_COPIES_AT_ONCE)

        async def put(picture: ReceivedFile) -> None:
            async with slots:
                await self.storage.copy(self._stored[picture.index][1], copy.claim(picture))

        try:
            async with asyncio.TaskGroup() as group:
                for one in objects:
                    for view in one.received:
                        group.create_task(put(view))
        except ExceptionGroup as failed:  # the group has waited for all of them
            raise failed.exceptions[0] from None
        return copy

    def release(self) -> list[str]:
        """The keys of what is stored. From now on the caller is responsible for them."""
        keys = [*(key for _, key in self._stored.values()), *self._extra]
        self._stored.clear()
        self._extra.clear()
        return [*keys, *(key for copy in self._copies for key in copy.release())]

    def take(self, indices: Collection[int]) -> list[str]:
        """The keys of these files, which no job uses. The caller is responsible for them."""
        return [self._stored.pop(index)[1] for index in sorted(indices) if index in self._stored]

    def image(
        self,
        received: ReceivedObject,
        digest: str,
        preparation: Preparation | None = None,
        cutout_digests: tuple[str, ...] = (),
    ) -> NewImage:
        """The stored pictures as one image of the job. `digest` is what makes two runs the same."""
        first = received.views[0]
        return NewImage(
            image_id=self.id_of(first.index),
            filename=received.name,
            size=received.size,
            sha256=received.sha256,
            width=first.width,
            height=first.height,
            format=first.format,
            frames=first.frames or 1,
            source_key=self._stored[first.index][1] if first.index in self._stored else None,
            digest=digest,
            metadata=received.metadata,
            views=self._views(received) if received.grouped else (),
            preparation=preparation,
            cutout_digests=cutout_digests,
            fetch=self.fetch_id(received) or None,
            addressed=isinstance(first, AddressedFile) or None,
        )

    def _views(self, received: ReceivedObject) -> tuple[StoredView, ...]:
        return tuple(
            self._view(side, view) for side, view in zip(received.sides, received.views, strict=True)
        )

    def _view(self, side: str, view: GoodFile) -> StoredView:
        return StoredView(
            file_id=self.id_of(view.index),
            side=side,
            filename=view.filename,
            size=view.size,
            sha256=view.sha256,
            width=view.width,
            height=view.height,
            format=view.format,
            frames=view.frames or 1,
            addressed=isinstance(view, AddressedFile),
        )


def new_id() -> str:
    """An id that cannot be guessed: 128 random bits in hexadecimal."""
    return secrets.token_hex(16)
