"""The documents of the HTTP interface, as the client reads them. Unknown fields are ignored; times are RFC
3339 text.
"""

from pathlib import PurePosixPath
from typing import Any, Final

import msgspec

from image2model.domain import IMAGE_FINISHED, JOB_FINISHED, Counts, ImageError, Mesh, Metadata, RejectedFile

__all__ = [
    "Counts",
    "DeadImage",
    "DeadPage",
    "Download",
    "File",
    "Image",
    "ImageError",
    "ImageView",
    "Job",
    "JobPage",
    "Mesh",
    "RejectedFile",
    "Replayed",
    "Result",
]

_PICTURE_SUFFIXES: Final = frozenset(
    {
        *(".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"),
        *(".tif", ".tiff", ".heic", ".heif", ".avif"),
    }
)


class File(msgspec.Struct, frozen=True):
    """One file of a result; `size` in bytes, `url` relative to the service."""

    kind: str
    format: str
    size: int | None = None
    url: str = ""


class Warned(msgspec.Struct, frozen=True):
    """What may not be as expected, and is no reason to fail or to refuse. `file`: the file that it is about,
    by its kind in a result, by its name elsewhere; empty where it is about the whole.
    """

    code: str
    file: str = ""
    message: str = ""


class Result(msgspec.Struct, frozen=True):
    """The result of a succeeded image; `mesh` is None where it is unknown."""

    files: tuple[File, ...] = ()
    mesh: Mesh | None = None
    warnings: tuple[Warned, ...] = ()

    @property
    def model(self) -> File | None:
        """The model itself."""
        return next((file for file in self.files if file.kind == "model"), None)


class ImageView(msgspec.Struct, frozen=True):
    """One picture of an object. `side` is None where none was named; `size` in bytes.

    Of a picture that came as an address, what follows is None until it is fetched.
    """

    filename: str
    side: str | None = None
    size: int | None = None
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    warnings: tuple[Warned, ...] = ()
    frames: int | None = None


class Preparation(msgspec.Struct, frozen=True):
    """What is done with an image's pictures before its model runs.

    `remove_background` is the endpoint that does it, or None. `files`: the pictures as they are sent, once
    they are prepared; `download(..., file=…)` takes their `kind`. `cost_usd` is of the paid requests so far.
    """

    remove_background: str | None = None
    crop: bool = False
    pad_square: bool = False
    confirm_prepared: bool = False
    files: tuple[File, ...] = ()
    cost_usd: float = 0.0
    fal_request_ids: tuple[str, ...] = ()


class Image(msgspec.Struct, frozen=True):
    """One image of a job. `progress` is 0 to 1, `cost_usd` in dollars, `size` in bytes.

    `views`: its pictures, one or more; empty in the documents of an earlier service. Of an object `filename`
    is its name, `size` and `sha256` are of all views together, width and height of the first. These are None
    until a picture that came as an address is fetched.
    `variant` counts from 1, None without variants; `seed` is what it was made with, where that is known.
    `frames`: pictures in the file, of which one is used. `warnings` are about its pictures.
    `parent_image_id`: the image whose model a second step started from.
    `cost_usd` is the cost of all its attempts; `cost_uncertain`: FAL gave no amount for one of them.
    """

    image_id: str
    status: str
    index: int = 0
    filename: str = ""
    size: int | None = None
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    progress: float = 0.0
    queue_position: int | None = None
    attempt: int = 0
    cached: bool = False
    fal_request_id: str | None = None
    cost_usd: float | None = None
    cost_uncertain: bool = False
    error: ImageError | None = None
    result: Result | None = None
    created_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    metadata: Metadata = {}
    views: tuple[ImageView, ...] = ()
    variant: int | None = None
    seed: int | None = None
    parent_job_id: str | None = None
    parent_image_id: str | None = None
    waiting_for: str | None = None
    preparation: Preparation | None = None
    frames: int | None = None
    warnings: tuple[Warned, ...] = ()

    @property
    def stem(self) -> str:
        """What its files may be named by: an object's name, or its picture's without the suffix.

        Further variants have their number behind it, as in the service's own archives.
        """
        path = PurePosixPath(self.filename)
        is_object = len(self.views) > 1 or any(view.filename != self.filename for view in self.views)
        named = is_object and path.suffix.lower() not in _PICTURE_SUFFIXES
        name = self.filename if named else path.stem
        return name if self.variant in {None, 1} else f"{name or 'model'}-{self.variant}"

    @property
    def all_warnings(self) -> tuple[Warned, ...]:
        """Those about its pictures, then those about its result."""
        return (*self.warnings, *(self.result.warnings if self.result else ()))

    @property
    def finished(self) -> bool:
        """Whether its status is final, unless the job is reopened."""
        return self.status in IMAGE_FINISHED


class Job(msgspec.Struct, frozen=True):
    """A batch. `images` is empty in the documents of `/events`."""

    job_id: str
    status: str
    model: str = ""
    params: dict[str, Any] = {}
    total: int = 0
    counts: Counts = Counts()
    progress: float = 0.0
    cost_usd: float | None = None
    estimated_cost_usd: float | None = None
    waiting_for: str | None = None
    cancel_requested: bool = False
    rejected: tuple[RejectedFile, ...] = ()
    created_at: str | None = None
    updated_at: str | None = None
    finished_at: str | None = None
    expires_at: str | None = None
    images: tuple[Image, ...] = ()
    links: dict[str, str] = {}
    metadata: Metadata = {}
    comparison_id: str | None = None
    warnings: tuple["Warned", ...] = ()

    @property
    def finished(self) -> bool:
        """Whether all its images are final."""
        return self.status in JOB_FINISHED


class Comparison(msgspec.Struct, frozen=True):
    """The jobs of one upload for several models, in the order of the models."""

    comparison_id: str
    jobs: tuple[Job, ...] = ()


class JobPage(msgspec.Struct, frozen=True):
    """One page of a job list, newest first."""

    jobs: tuple[Job, ...] = ()
    next_cursor: str | None = None


class Download(msgspec.Struct, frozen=True):
    """One entry of a job's download list."""

    image_id: str
    filename: str = ""
    status: str = ""
    files: tuple[File, ...] = ()
    metadata: Metadata = {}


class Change(msgspec.Struct, frozen=True):
    """One step of an image's history."""

    at: str
    status: str
    attempt: int = 1
    fal_request_id: str | None = None
    error: ImageError | None = None


class DeadImage(msgspec.Struct, frozen=True):
    """An image that failed for good, as admins see it."""

    image_id: str
    job_id: str
    owner: str
    model: str
    failed_at: str
    image: Image
    error: ImageError | None = None
    history: tuple[Change, ...] = ()


class DeadPage(msgspec.Struct, frozen=True):
    """One page of dead images, newest first; it may be short: only a null cursor marks the end."""

    images: tuple[DeadImage, ...] = ()
    next_cursor: str | None = None


class Replayed(msgspec.Struct, frozen=True):
    """The result of a replay by filter; `more`: further images match."""

    replayed: int
    job_ids: tuple[str, ...] = ()
    more: bool = False


class QuotedImage(msgspec.Struct, frozen=True):
    """The check of a picture or an object: `ok`, or the `code` and `detail` with which an upload would be
    refused. `warnings`: why it will hardly become a good model.

    `cached`: its result exists already, and costs nothing. `size` in bytes.
    """

    filename: str
    ok: bool
    code: str | None = None
    detail: str | None = None
    size: int | None = None
    sha256: str | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    cached: bool = False
    cost_usd: float | None = None
    views: tuple[ImageView, ...] = ()
    warnings: tuple[Warned, ...] = ()
    frames: int | None = None


class QuoteRefusal(msgspec.Struct, frozen=True):
    """Why an upload would be refused because of its price."""

    code: str
    detail: str = ""


class Quote(msgspec.Struct, frozen=True):
    """What an upload would cost. `accepted`: whether it would become a job; `refusal`: why not, where its
    price is to blame. Unknown costs are None. `price_source`: `fal`, or the service's own `table`.
    """

    model: str
    accepted: bool
    params: dict[str, Any] = {}
    total: int = 0
    good: int = 0
    bad: int = 0
    cost_usd_each: float | None = None
    total_cost_usd: float | None = None
    price_note: str = ""
    images: tuple[QuotedImage, ...] = ()
    price_source: str | None = None
    max_cost_usd: float | None = None
    refusal: QuoteRefusal | None = None
    variants: int | None = None
    preparation_cost_usd_each: float | None = None
    warnings: tuple[Warned, ...] = ()


class ComparisonQuote(msgspec.Struct, frozen=True):
    """What an upload for several models would cost: a quote for each, and the verdict on the whole."""

    quotes: tuple[Quote, ...] = ()
    accepted: bool = False
    total_cost_usd: float | None = None
    refusal: QuoteRefusal | None = None
