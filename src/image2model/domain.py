"""The domain: statuses, legal moves, progress, and the records of images, results and errors.

Pure: no I/O and no clock. The store generates tables of its Lua scripts from this module.
"""

import hashlib
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

EXACT_INTEGERS: Final = 2**53
"""Beyond it, JSON readers that keep numbers as doubles change an integer."""
MetadataValue = str | int | float | bool | None
Metadata = dict[str, MetadataValue]
"""The caller's own data on a job or an image: `jobs.metadata` says what it may hold."""


def metadata_text(value: MetadataValue) -> str:
    """The value as a filter writes it: a string as it is, everything else as JSON, 1.0 as 1."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT_INTEGERS:
        value = int(value)
    return msgspec.json.encode(value).decode()


SIDES: Final = ("front", "back", "left", "right", "top", "bottom", "left_front", "right_front")
"""The sides of an object that a view can show, in the order in which endpoints get them."""


def object_digest(sides: Sequence[str], hashes: Sequence[str]) -> str:
    """What identifies an object: hex SHA-256 over the SHA-256 of its views with their sides, in order.

    That of one picture without a side is the picture's own. In order: named sides as in `SIDES`, then the
    others, whose side is empty, as they were given.
    """
    if list(sides) == [""]:
        return hashes[0]
    lines = [f"{side}:{sha256}" for side, sha256 in zip(sides, hashes, strict=True)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


class PictureWarningCode(StrEnum):
    """What may be wrong with a picture, or was done with it. Never a reason to refuse it."""

    TINY = "tiny"
    UNIFORM = "uniform"
    TEXT = "text"
    SEVERAL_OBJECTS = "several_objects"
    SEVERAL_FRAMES = "several_frames"
    SCALED = "scaled"


class PictureLimits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The largest picture that may be sent: bytes of the file, pixels of each side, pixels in all.

    None: no limit.
    """

    max_bytes: int | None = None
    max_width: int | None = None
    max_height: int | None = None
    max_pixels: int | None = None


class ScaledPicture(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One picture that was sent smaller than it was uploaded, because `model` takes no larger one.

    `view` is its index among the pictures of its image. Sides in pixels, as a viewer shows them.
    """

    model: str
    from_width: int
    from_height: int
    width: int
    height: int
    view: int = 0


class PictureAddress(msgspec.Struct, frozen=True):
    """Where a worker fetches a picture. It may be signed, so its text is shown nowhere."""

    url: str

    def __repr__(self) -> str:
        return "PictureAddress(…)"

    __str__ = __repr__


class StoredView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One picture of an object of several, as it was uploaded. `file_id` names it in the storage.

    `side` is empty where none was named. What follows the name is None until the picture is fetched.
    """

    file_id: str
    filename: str
    size: int | None = None
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    side: str = ""
    frames: int = 1
    """Pictures in the file, of which one is used."""
    addressed: bool = False
    """Whether it came as an address."""


class Cutout(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One view without its background, in our storage, as the remover returned it; `size` in bytes.

    `request_id` is empty where it was taken from another image; `digest` where nothing may be reused.
    """

    key: str
    size: int = 0
    digest: str = ""
    request_id: str = ""


class PreparedPicture(msgspec.Struct, frozen=True, kw_only=True):
    """One picture as it is sent to the model, in our storage; `size` in bytes, sides in pixels."""

    key: str
    format: str
    size: int
    width: int
    height: int


FIRST_CUTOUT: Final = "cutout:0"
"""The phase in which an image begins whose views are cut out. The next is `cutout:1`, the last has none."""


class Preparation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is done with an image's pictures before its model runs, and how far that has come.

    `remove_background` is the endpoint that removes it. `cutouts` and `files` have an entry for each view, as
    far as they are made. `cost_micro`: what the finished cut-outs have cost, failed tries included.
    """

    remove_background: str | None = None
    crop: bool = False
    pad_square: bool = False
    confirm_prepared: bool = False
    confirmed: bool = False
    cutouts: tuple[Cutout, ...] = ()
    files: tuple[PreparedPicture, ...] = ()
    cost_micro: int = 0

    def as_made(self) -> "Preparation":
        """The same before anything of it was done."""
        return Preparation(
            remove_background=self.remove_background,
            crop=self.crop,
            pad_square=self.pad_square,
            confirm_prepared=self.confirm_prepared,
        )

    @property
    def terms(self) -> tuple[object, ...]:
        """What of it decides what a model looks like."""
        return (self.remove_background, self.crop, self.pad_square)

    @property
    def awaits_confirmation(self) -> bool:
        """Whether the pictures are prepared, and a client has yet to look at them."""
        return bool(self.files) and self.confirm_prepared and not self.confirmed


class ModelInput(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The finished model that a second step starts from.

    `key` is the step's own copy in the storage. Where it is empty, the model is at FAL only, at `url`.
    `picture`: whether the image's picture is sent too.
    """

    format: str
    size: int = 0
    key: str = ""
    url: str = ""
    picture: bool = False


class ImageStatus(StrEnum):
    """The status of one image. The API reference explains each of them."""

    QUEUED = "queued"
    PREPARING = "preparing"
    SUBMITTED = "submitted"
    GENERATING = "generating"
    STORING = "storing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobStatus(StrEnum):
    """The status of a job, which always follows from its counts."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


class WaitingFor(StrEnum):
    """Why no image of a job makes progress."""

    LIMIT = "limit"
    TURN = "turn"
    ACCOUNT = "account"
    FAL = "fal"
    PAUSED = "paused"
    ENDPOINT = "endpoint"
    CONFIRMATION = "confirmation"
    FETCH = "fetch"


IMAGE_FINISHED: Final = frozenset({ImageStatus.SUCCEEDED, ImageStatus.FAILED, ImageStatus.CANCELLED})
IMAGE_UNFINISHED: Final = frozenset(ImageStatus) - IMAGE_FINISHED
IMAGE_AT_FAL: Final = frozenset({ImageStatus.SUBMITTED, ImageStatus.GENERATING})
IMAGE_MOVING: Final = IMAGE_UNFINISHED - {ImageStatus.QUEUED}
IMAGE_ADVANCING: Final = IMAGE_MOVING - {ImageStatus.PREPARING}
"""At FAL, or being stored. An image that is being prepared may still have to wait for a permit."""
JOB_FINISHED: Final = frozenset(
    {JobStatus.SUCCEEDED, JobStatus.PARTIAL, JobStatus.FAILED, JobStatus.CANCELLED}
)

_S = ImageStatus
LEGAL_MOVES: Final[dict[ImageStatus, frozenset[ImageStatus]]] = {
    _S.QUEUED: frozenset({_S.PREPARING, _S.SUBMITTED, _S.SUCCEEDED, _S.FAILED, _S.CANCELLED}),
    _S.PREPARING: frozenset({_S.SUBMITTED, _S.QUEUED, _S.FAILED, _S.CANCELLED}),
    _S.SUBMITTED: frozenset({_S.GENERATING, _S.STORING, _S.QUEUED, _S.FAILED, _S.CANCELLED}),
    _S.GENERATING: frozenset({_S.SUBMITTED, _S.STORING, _S.QUEUED, _S.FAILED, _S.CANCELLED}),
    _S.STORING: frozenset({_S.SUCCEEDED, _S.QUEUED, _S.FAILED, _S.CANCELLED}),
    _S.SUCCEEDED: frozenset(),
    _S.FAILED: frozenset({_S.QUEUED, _S.SUBMITTED, _S.SUCCEEDED}),
    _S.CANCELLED: frozenset(),
}
"""Legal moves of one image. It leaves `failed` by a retry or by a late result."""

PROGRESS: Final[dict[ImageStatus, float]] = {
    _S.QUEUED: 0.0,
    _S.PREPARING: 0.05,
    _S.SUBMITTED: 0.1,
    _S.GENERATING: 0.5,
    _S.STORING: 0.9,
    _S.SUCCEEDED: 1.0,
    _S.FAILED: 1.0,
    _S.CANCELLED: 1.0,
}
"""Progress is fixed by status and never invented."""


class Counts(msgspec.Struct, frozen=True):
    """How many images of a job are in each status."""

    queued: int = 0
    preparing: int = 0
    submitted: int = 0
    generating: int = 0
    storing: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        """All images of the job."""
        return sum(msgspec.structs.astuple(self))

    @property
    def unfinished(self) -> int:
        """Images not in a final status."""
        return self.total - self.succeeded - self.failed - self.cancelled

    @property
    def status(self) -> JobStatus:
        """The job's status."""
        if self.queued == self.total:
            return JobStatus.QUEUED
        if self.unfinished:
            return JobStatus.RUNNING
        if self.succeeded == self.total:
            return JobStatus.SUCCEEDED
        if self.succeeded:
            return JobStatus.PARTIAL
        return JobStatus.FAILED if self.failed else JobStatus.CANCELLED

    @property
    def progress(self) -> float:
        """Mean of the images' progress, 0 to 1, rounded to four places."""
        by_status = msgspec.structs.asdict(self)
        done = sum(by_status[status] * share for status, share in PROGRESS.items())
        return round(done / self.total, 4) if self.total else 0.0


class ImageError(msgspec.Struct, frozen=True, omit_defaults=True):
    """The `error` of a failed image."""

    code: str
    message: str
    retryable: bool
    fal_type: str | None = None


class ResultFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file of a result. `key` is our copy's under `mirror`; `source_url` is FAL's URL, which expires.

    `name` and `content_type` are FAL's, for a file of an unknown kind.
    """

    kind: str
    format: str
    size: int | None = None
    key: str | None = None
    source_url: str | None = None
    name: str | None = None
    content_type: str | None = None


class WarningCode(StrEnum):
    """Why a file that FAL named is missing or was not understood. Never a reason for an image to fail."""

    FILE_MISSING = "file_missing"
    FILE_UNKNOWN_FORMAT = "file_unknown_format"
    FILE_NOT_CHECKED = "file_not_checked"
    FILE_REFUSED = "file_refused"


class ResultWarning(msgspec.Struct, frozen=True):
    """One of a result's `warnings`. `file` is the file's kind, as in `files`."""

    code: WarningCode
    file: str
    message: str


class MissingFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file that FAL named and that was not fetched, for a refresh. Never shown to clients."""

    kind: str
    url: str
    name: str | None = None
    content_type: str | None = None
    size: int | None = None


class Mesh(msgspec.Struct, frozen=True):
    """Measurements of the model; `bounds` are its minimum and maximum corner."""

    triangles: int
    vertices: int
    textures: int
    bounds: tuple[tuple[float, float, float], tuple[float, float, float]]


class ImageResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result of a success: its files, the model first, and the mesh's measurements if it could be read.

    `missing` are the files that a refresh can fetch.
    """

    files: tuple[ResultFile, ...]
    mesh: Mesh | None = None
    warnings: tuple[ResultWarning, ...] = ()
    missing: tuple[MissingFile, ...] = ()


class FalRequest(msgspec.Struct, frozen=True):
    """A request that FAL has accepted: its id, and its three URLs, which must be used verbatim."""

    request_id: str
    status_url: str
    response_url: str
    cancel_url: str


class RejectedFile(msgspec.Struct, frozen=True):
    """A file that was left out of a batch because of `on_invalid=skip`."""

    file: str
    code: str
    detail: str
