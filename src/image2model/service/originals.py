"""The uploaded pictures of one batch while it is not yet a job: stored as they come, or taken away again.

Who calls it: `unsettled`, which deletes them where no job comes of them. A crash leaves objects of a job that
does not exist, which the cleanup finds; it never leaves a job without its pictures.
"""

import secrets
from typing import Protocol

from image2model.storage import layout
from image2model.storage.objects import ObjectStorage
from image2model.store.jobs import NewImage


def new_id() -> str:
    """An id that nobody guesses: 128 random bits in hexadecimal."""
    return secrets.token_hex(16)


class Picture(Protocol):
    """An uploaded picture that is good: its place in the batch, and what it is."""

    @property
    def index(self) -> int: ...
    @property
    def filename(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def sha256(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...


class Originals:
    """What has been stored for the job `job_id`."""

    def __init__(self, storage: ObjectStorage) -> None:
        self.job_id = new_id()
        self.storage = storage
        self._keys: dict[int, tuple[str, str]] = {}

    async def put(self, picture: Picture, data: bytes) -> None:
        """Store one picture. Raises DiskFull, StorageError."""
        image_id = new_id()
        key = layout.original(self.job_id, image_id, picture.format)
        self._keys[picture.index] = (image_id, key)
        await self.storage.put(key, data, content_type=f"image/{picture.format}", filename=picture.filename)

    def hand_over(self) -> list[str]:
        """The keys of what is stored; from now on they are the caller's affair."""
        keys = [key for _, key in self._keys.values()]
        self._keys.clear()
        return keys

    def image(self, picture: Picture, digest: str) -> NewImage:
        """The stored picture as the job's image; `digest` is what makes two runs the same."""
        image_id, key = self._keys[picture.index]
        return NewImage(
            image_id=image_id,
            filename=picture.filename,
            size=picture.size,
            sha256=picture.sha256,
            width=picture.width,
            height=picture.height,
            format=picture.format,
            source_key=key,
            digest=digest,
        )
