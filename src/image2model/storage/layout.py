"""The names of all objects. No other module knows them."""

from typing import NamedTuple

ORIGINALS, RESULTS, THUMBNAILS, PREPARED = "originals", "results", "thumbnails", "prepared"
ROOTS = (ORIGINALS, RESULTS, THUMBNAILS, PREPARED)


class Owner(NamedTuple):
    """The job and image that an object belongs to; of a picture, the image whose first picture it is."""

    root: str
    job_id: str
    image_id: str


class ResultNames(NamedTuple):
    """How the files of one image's result are named.

    `flat`: all files of a job are in one directory: making one for each image costs as much as a file.
    Earlier releases know only the other names: see `Layout.flat_results` in store/data_versions.py.
    """

    job_id: str
    image_id: str
    flat: bool

    def key(self, kind: str, ext: str) -> str:
        """One file: `kind` is `model`, `preview`, `base` …"""
        return f"{RESULTS}/{self.job_id}/{self.image_id}{'.' if self.flat else '/'}{kind}.{ext}"


def original(job_id: str, file_id: str, ext: str) -> str:
    """A picture as it was uploaded; `ext` without the dot. An image's first picture has the image's id."""
    return f"{ORIGINALS}/{job_id}/{file_id}.{ext}"


def parent_model(job_id: str, image_id: str, ext: str) -> str:
    """The copy of another image's model, which this image's run starts from."""
    return f"{ORIGINALS}/{job_id}/{image_id}-model.{ext}"


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


def is_flat_result(key: str) -> bool:
    """Whether it is a name that earlier releases do not know."""
    return key.startswith(f"{RESULTS}/") and key.count("/") == 2


def owner_of(key: str) -> Owner | None:
    """The job and image that an object belongs to; None for a key of another layout."""
    parts = key.split("/")
    root = parts[0]
    if root in (RESULTS, PREPARED) and len(parts) == 4:
        return Owner(root, parts[1], parts[2])  # of results, those that are not flat
    if root in (ORIGINALS, THUMBNAILS, RESULTS) and len(parts) == 3:
        image_id, _, rest = parts[2].partition(".")
        return Owner(root, parts[1], image_id) if root != RESULTS or "." in rest else None
    return None
