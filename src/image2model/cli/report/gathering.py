"""Fetches the pictures of a card, and makes what comes from FAL small and harmless.

Who calls it: `sheet`. A preview is decoded and encoded again, so no byte of it reaches the sheet as it was.
A picture that is gone leaves its place empty; any other error stops the report.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from image2model.cli.report.card import Pictures
from image2model.client import ApiError, AsyncClient, Image
from image2model.errors import ImageFailure
from image2model.media.thumbnail import thumbnail
from image2model.threads import in_thread

_SIZE: Final = 320
_MOST_BYTES: Final = 32 * 1024 * 1024


async def pictures_of(client: AsyncClient, job_id: str, image: Image) -> Pictures:
    """Of one image. Raises ClientError."""
    return Pictures(await _original(client, job_id, image), await _preview(client, job_id, image))


async def _original(client: AsyncClient, job_id: str, image: Image) -> bytes | None:
    try:
        data = await client.thumbnail(job_id, image.image_id)
        return await in_thread(thumbnail, data, size=_SIZE)
    except ApiError as error:
        if error.is_gone:
            return None
        raise
    except ImageFailure:  # accepted at the door, but it cannot be decoded: the card says so
        return None


async def _preview(client: AsyncClient, job_id: str, image: Image) -> bytes | None:
    files = image.result.files if image.result else ()
    found = next((file for file in files if file.kind == "preview"), None)
    if found is None or (found.size or 0) > _MOST_BYTES:
        return None
    with TemporaryDirectory(prefix="image2model-") as folder:
        path = Path(folder) / "preview"
        try:
            await client.download(job_id, image.image_id, path, file="preview", size=found.size)
            return await in_thread(_small, path)
        except ApiError as error:
            if error.is_gone:
                return None
            raise


def _small(path: Path) -> bytes | None:
    try:
        return thumbnail(path.read_bytes(), size=_SIZE)
    except ImageFailure:  # a kind of picture that we do not read
        return None
