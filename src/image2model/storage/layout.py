"""The names of all objects. No other module knows them."""

from typing import NamedTuple

ORIGINALS, RESULTS, THUMBNAILS, PREPARED = "originals", "results", "thumbnails", "prepared"
ROOTS = (ORIGINALS, RESULTS, THUMBNAILS, PREPARED)


class Owner(NamedTuple):
    """The job and image that an object belongs to; of a picture, the image whose first picture it is."""

    root: str
    job_id: str
    image_id: str


def original(job_id: str, file_id: str, ext: str) -> str:
    """A picture as it was uploaded; `ext` without the dot. An image's first picture has the image's id."""
    return f"{ORIGINALS}/{job_id}/{file_id}.{ext}"


def parent_model(job_id: str, image_id: str, ext: str) -> str:
    """The copy of another image's model, which this image's run starts from."""
    return f"{ORIGINALS}/{job_id}/{image_id}-model.{ext}"


def result(job_id: str, image_id: str, kind: str, ext: str) -> str:
    """One file of an image's result: `kind` is `model`, `preview`, `base` …"""
    return f"{RESULTS}/{job_id}/{image_id}/{kind}.{ext}"


def thumbnail(job_id: str, image_id: str) -> str:
    """The small WebP of a picture."""
    return f"{THUMBNAILS}/{job_id}/{image_id}.webp"


def cutout(job_id: str, image_id: str, index: int, ext: str) -> str:
    """An image's view of this index without its background, as it came from FAL."""
    return f"{PREPARED}/{job_id}/{image_id}/cutout-{index + 1}.{ext}"


def prepared(job_id: str, image_id: str, index: int, ext: str) -> str:
    """The same view as it is sent to the model."""
    return f"{PREPARED}/{job_id}/{image_id}/prepared-{index + 1}.{ext}"


def job_prefixes(job_id: str) -> tuple[str, ...]:
    """The prefixes of everything that belongs to one job."""
    return tuple(f"{root}/{job_id}" for root in ROOTS)


def image_prefix(job_id: str, image_id: str) -> str:
    """The prefix of all files of one image's result."""
    return f"{RESULTS}/{job_id}/{image_id}"


def owner_of(key: str) -> Owner | None:
    """The job and image that an object belongs to; None for a key of another layout."""
    parts = key.split("/")
    root = parts[0]
    if root in (RESULTS, PREPARED) and len(parts) == 4:
        return Owner(root, parts[1], parts[2])
    if root in (ORIGINALS, THUMBNAILS) and len(parts) == 3:
        return Owner(root, parts[1], parts[2].partition(".")[0])
    return None
