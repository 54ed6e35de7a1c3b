"""The nouns of the service and their rules: statuses, legal moves, progress, the records of the store.

Pure: no I/O, no clock. Who calls it: every layer above; the store builds its Lua from these tables.
"""

from enum import StrEnum
from typing import Final

import msgspec


class ImageStatus(StrEnum):
    """Where one image is. See the README of the interface for what each one promises."""

    QUEUED = "queued"
    PREPARING = "preparing"
    SUBMITTED = "submitted"
    GENERATING = "generating"
    STORING = "storing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobStatus(StrEnum):
    """Where a batch is: always a function of its counts."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


class WaitingFor(StrEnum):
    """Why nothing of a job moves."""

    LIMIT = "limit"
    ACCOUNT = "account"
    FAL = "fal"
    PAUSED = "paused"
    ENDPOINT = "endpoint"


IMAGE_FINISHED: Final = frozenset({ImageStatus.SUCCEEDED, ImageStatus.FAILED, ImageStatus.CANCELLED})
IMAGE_UNFINISHED: Final = frozenset(ImageStatus) - IMAGE_FINISHED
IMAGE_AT_FAL: Final = frozenset({ImageStatus.SUBMITTED, ImageStatus.GENERATING})
IMAGE_MOVING: Final = IMAGE_UNFINISHED - {ImageStatus.QUEUED}
IMAGE_ADVANCING: Final = IMAGE_MOVING - {ImageStatus.PREPARING}
"""At FAL or on its way back; what is prepared may yet have to wait for a permit."""
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
"""Legal moves of one image. `failed` leaves by a retry or by a result that turns up late."""

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
        """The job's status, which follows from its counts alone."""
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
        """Mean of the images' progress, 0 to 1, to four places."""
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
    """One file of a result. `key` is ours under `mirror`; `source_url` is FAL's, which expires.

    `name` and `content_type` are FAL's words for a file of a kind that we do not know.
    """

    kind: str
    format: str
    size: int | None = None
    key: str | None = None
    source_url: str | None = None
    name: str | None = None
    content_type: str | None = None


class WarningCode(StrEnum):
    """What FAL named and could not be had, or could not be understood. Never a reason to fail."""

    FILE_MISSING = "file_missing"
    FILE_UNKNOWN_FORMAT = "file_unknown_format"
    FILE_NOT_CHECKED = "file_not_checked"
    FILE_REFUSED = "file_refused"


class ResultWarning(msgspec.Struct, frozen=True):
    """One of a result's `warnings`: `file` is the kind of the file, as in `files`."""

    code: WarningCode
    file: str
    message: str


class MissingFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file that FAL named and that was not fetched: what it takes to try again. Never shown to a client."""

    kind: str
    url: str
    name: str | None = None
    content_type: str | None = None
    size: int | None = None


class Mesh(msgspec.Struct, frozen=True):
    """Numbers read from the model itself; `bounds` is the minimum and the maximum corner."""

    triangles: int
    vertices: int
    textures: int
    bounds: tuple[tuple[float, float, float], tuple[float, float, float]]


class ImageResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a success left: its files, the model first, and the mesh's numbers where they could be read.

    `missing` are the files that a refresh fetches again.
    """

    files: tuple[ResultFile, ...]
    mesh: Mesh | None = None
    warnings: tuple[ResultWarning, ...] = ()
    missing: tuple[MissingFile, ...] = ()


class FalRequest(msgspec.Struct, frozen=True):
    """A request that FAL has accepted: its id and the three URLs to use verbatim."""

    request_id: str
    status_url: str
    response_url: str
    cancel_url: str


class RejectedFile(msgspec.Struct, frozen=True):
    """A file left out of a batch under `on_invalid=skip`."""

    file: str
    code: str
    detail: str
