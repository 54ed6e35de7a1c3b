"""Records of jobs and images: which fields of a hash are shown, and how a row of texts becomes a record.

A row is a list of texts in the order of its field list.
"""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import PurePath
from typing import Final

import msgspec

from image2model.domain import (
    Counts,
    ImageError,
    ImageResult,
    ImageStatus,
    Metadata,
    Preparation,
    RejectedFile,
    ScaledPicture,
    StoredView,
    WaitingFor,
)

IMAGE_FIELDS: Final = (
    "image_id",
    "index",
    "filename",
    "size",
    "sha256",
    "width",
    "height",
    "format",
    "status",
    "queue_position",
    "attempt",
    "cached",
    "request_id",
    "cost_micro",
    "error",
    "result",
    "created_at",
    "started_at",
    "finished_at",
    "cost_uncertain",
    "metadata",
    "views",
    "parent_job_id",
    "parent_image_id",
    "variant",
    "seed",
    "preparation",
    "frames",
    "scaled",
    "addressed",
)
"""What a client may see of an image, in the order of a row. New fields come last: readers accept the shorter
row of an older version, and ignore what a newer version appends."""

CHANGING_FIELDS: Final = (
    "status",
    "queue_position",
    "attempt",
    "cached",
    "request_id",
    "cost_micro",
    "error",
    "result",
    "started_at",
    "finished_at",
    "cost_uncertain",
    "seed",
    "preparation",
    "scaled",
)
"""What may change of an image after its pictures are there, in the order of a stored event (`events.lua`).

When history is read, the other IMAGE_FIELDS come from the image. A new field that may change comes last here
too."""

JOB_FIELDS: Final = (
    "model",
    "params",
    "total",
    "created_at",
    "updated_at",
    "finished_at",
    "expires_at",
    "waiting_for",
    "cancel_requested",
    "rejected",
    "estimated_micro",
    "cost_micro",
    "metadata",
    "comparison_id",
)
"""What a client may see of a job, in the order of a row."""

ATTEMPT_FIELDS: Final = (
    "attempt_token",
    "intent_url",
    "posting_at",
    "submitted_at",
    "running_at",
    "timed_out",
    "request_id",
    "status_url",
    "response_url",
    "cancel_url",
    "requests_url",
    "queue_position",
    "waited",
    "hazard",
    "hazard_deaths",
    "crashes",
    "crashed_by",
    "fal_callback",
)
"""The fields of one attempt, which are cleared when the next one begins."""

PASSING_FIELDS: Final = (
    *(name for name in ATTEMPT_FIELDS if name not in {"request_id", "attempt_token"}),
    "fence",
    "attempts_used",
    "start_tries",
    "first_try_at",
    "first_try_still",
    "enqueued_at",
    "endpoint_since",
    "endpoint_turn",
    "unexpected_attempt",
    "unexpected_count",
    "unexpected_by",
    "reuse_of",
    "reuse_main",
    "attempt_errors",
    "budget_micro",
    "budget_period",
    "phase",
    "phase_model",
    "later_micro",
    "main_micro",
)
"""What nobody needs of a model that was made with all its files: no client, no late booking."""


_PICTURE_SUFFIXES: Final = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".heic", ".heif", ".avif", ".gif", ".tif", ".tiff", ".bmp"}
)
"""An object may be named by a picture: a second step has its parent's name, and a picture of its own."""


class ImageRow(msgspec.Struct, frozen=True, kw_only=True):
    """One image as a client may see it. Times are ms since the epoch, costs micro-dollars.

    `size` to `format` are None until the picture is fetched, where it came as an address.
    """

    image_id: str
    index: int
    filename: str
    size: int | None
    sha256: str | None
    width: int | None
    height: int | None
    format: str | None
    status: ImageStatus
    queue_position: int | None
    attempt: int
    cached: bool
    request_id: str | None
    cost_micro: int | None
    error: ImageError | None
    result: ImageResult | None
    created_at: int
    started_at: int | None
    finished_at: int | None
    cost_uncertain: bool = False
    metadata: Metadata = {}
    views: tuple[StoredView, ...] = ()
    preparation: Preparation | None = None
    parent_job_id: str | None = None
    parent_image_id: str | None = None
    """The image whose model this one's run starts from."""
    variant: int | None = None
    """Which of the variants of its object it is, from 1; None: there are none."""
    seed: int | None = None
    frames: int = 1
    """Pictures in its file; of an object, see its views."""
    scaled: tuple[ScaledPicture, ...] = ()
    addressed: bool = False
    """Whether its first picture came as an address."""

    @property
    def stem(self) -> str:
        """What its files are named by: the object's name, or its picture's without the suffix.

        Further variants have their number behind it.
        """
        path = PurePath(self.filename)
        named = self.views and path.suffix.lower() not in _PICTURE_SUFFIXES
        name = self.filename if named else path.stem
        return name if self.variant in (None, 1) else f"{name or 'model'}-{self.variant}"


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """One job as a client may see it, without its counts and images."""

    model: str
    params: dict[str, object]
    total: int
    created_at: int
    updated_at: int
    finished_at: int | None
    expires_at: int | None
    waiting_for: WaitingFor | None
    cancel_requested: bool
    rejected: tuple[RejectedFile, ...]
    estimated_micro: int | None
    cost_micro: int
    metadata: Metadata = {}
    comparison_id: str | None = None
    """What it has in common with the jobs of other models that came with the same request."""


class JobSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A job at one version. `images` is empty if only the job itself was read."""

    job_id: str
    version: int
    owner: str
    deleted: bool
    job: JobRow
    counts: Counts
    images: tuple[ImageRow, ...]


_error = msgspec.json.Decoder(ImageError)
_result = msgspec.json.Decoder(ImageResult)
_rejected = msgspec.json.Decoder(tuple[RejectedFile, ...])
_params = msgspec.json.Decoder(dict[str, object])
_views = msgspec.json.Decoder(tuple[StoredView, ...])
_metadata = msgspec.json.Decoder(Metadata)
_scaled = msgspec.json.Decoder(tuple[ScaledPicture, ...])
_preparation = msgspec.json.Decoder(Preparation)


def _whole(text: str) -> int | None:
    return int(text) if text else None


def _fields(names: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    """A row of this or another version: fields that it lacks are empty, further ones are ignored."""
    return dict(zip_longest(names, row[: len(names)], fillvalue=""))


def image_row(row: Sequence[str]) -> ImageRow:
    """Read a row of IMAGE_FIELDS."""
    field = _fields(IMAGE_FIELDS, row)
    return ImageRow(
        image_id=field["image_id"],
        index=int(field["index"]),
        filename=field["filename"],
        size=_whole(field["size"]),
        sha256=field["sha256"] or None,
        width=_whole(field["width"]),
        height=_whole(field["height"]),
        format=field["format"] or None,
        status=ImageStatus(field["status"]),
        queue_position=_whole(field["queue_position"]),
        attempt=int(field["attempt"] or 1),
        cached=field["cached"] == "1",
        request_id=field["request_id"] or None,
        cost_micro=_whole(field["cost_micro"]),
        error=_error.decode(field["error"]) if field["error"] else None,
        result=_result.decode(field["result"]) if field["result"] else None,
        created_at=int(field["created_at"]),
        started_at=_whole(field["started_at"]),
        finished_at=_whole(field["finished_at"]),
        cost_uncertain=field["cost_uncertain"] == "1",
        metadata=_metadata.decode(field["metadata"]) if field["metadata"] else {},
        views=_views.decode(field["views"]) if field["views"] else (),
        preparation=_preparation.decode(field["preparation"]) if field["preparation"] else None,
        parent_job_id=field["parent_job_id"] or None,
        parent_image_id=field["parent_image_id"] or None,
        variant=_whole(field["variant"]),
        seed=_whole(field["seed"]),
        frames=_whole(field["frames"]) or 1,
        scaled=_scaled.decode(field["scaled"]) if field["scaled"] else (),
        addressed=field["addressed"] == "1",
    )


def job_row(row: Sequence[str]) -> JobRow:
    """Read a row of JOB_FIELDS."""
    field = _fields(JOB_FIELDS, row)
    return JobRow(
        model=field["model"],
        params=_params.decode(field["params"]) if field["params"] else {},
        total=int(field["total"]),
        created_at=int(field["created_at"]),
        updated_at=int(field["updated_at"]),
        finished_at=_whole(field["finished_at"]),
        expires_at=_whole(field["expires_at"]),
        waiting_for=WaitingFor(field["waiting_for"]) if field["waiting_for"] else None,
        cancel_requested=field["cancel_requested"] == "1",
        rejected=_rejected.decode(field["rejected"]) if field["rejected"] else (),
        estimated_micro=_whole(field["estimated_micro"]),
        cost_micro=_whole(field["cost_micro"]) or 0,
        metadata=_metadata.decode(field["metadata"]) if field["metadata"] else {},
        comparison_id=field["comparison_id"] or None,
    )
