"""The documents that clients read: a job and its images, in the shapes of the public interface.

Responses, events and webhooks use the same ones. Pure: rows in, Structs out.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

from image2model.domain import (
    PROGRESS,
    Counts,
    ImageError,
    ImageResult,
    ImageStatus,
    JobStatus,
    Mesh,
    Metadata,
    Preparation,
    RejectedFile,
    ResultFile,
    ResultWarning,
    StoredView,
    WaitingFor,
)
from image2model.http.picture_warnings import PictureWarning, frames_warning, scaled_warning
from image2model.money import to_usd
from image2model.store.records import ImageRow, JobRow, JobSnapshot

API: str = "/api/v1"

Moment = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
"""A time as RFC 3339 UTC."""


class FileDocument(msgspec.Struct, frozen=True):
    """One file of a result. `size` is bytes; null where the file is FAL's and its size is not known."""

    kind: str
    format: str
    size: int | None
    url: str


class ResultDocument(msgspec.Struct, frozen=True):
    """The result of a succeeded image. `mesh` is null where it cannot be measured."""

    files: tuple[FileDocument, ...]
    mesh: Mesh | None
    warnings: tuple[ResultWarning, ...]


class ViewDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One picture of an object. `side` is null where none was named; `frames` is 1 for a still.

    Of a picture that came as an address, `size` to `frames` are null until it is fetched.
    """

    side: str | None
    filename: str
    size: int | None
    sha256: str | None
    width: int | None
    height: int | None
    frames: int | None


class PreparationDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What is done with the pictures before their model runs. `remove_background` is the endpoint, or null.

    `files` are the pictures as they are sent, once they are prepared. `cost_usd` and `fal_request_ids` are of
    the paid requests so far; the image's `cost_usd` contains it.
    """

    remove_background: str | None
    crop: bool
    pad_square: bool
    confirm_prepared: bool
    files: tuple[FileDocument, ...]
    cost_usd: float
    fal_request_ids: tuple[str, ...]


class ImageDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One image of a job: a picture, or an object of several `views`.

    Of an object `filename` is its name, `size` and `sha256` are of all views together, width, height and
    `frames` of the first: how many pictures its file holds, of which one is used. `warnings` are about its
    pictures, those of its result about the result. A picture has one view. A second step names the image
    whose model it started from.

    `variant` is the number of the variant, from 1, and `seed` the one that it was made with; both are null
    where the upload asked for no variants, and the seed also where the endpoint has none.

    Of a picture that came as an address, `size`, `sha256`, `width`, `height` and `frames` are null until it
    is fetched.
    """

    image_id: str
    index: int
    filename: str
    size: int | None
    sha256: str | None
    width: int | None
    height: int | None
    status: ImageStatus
    progress: float
    queue_position: int | None
    attempt: int
    cached: bool
    fal_request_id: str | None
    cost_usd: float | None
    cost_uncertain: bool
    error: ImageError | None
    result: ResultDocument | None
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    metadata: Metadata
    views: tuple[ViewDocument, ...]
    waiting_for: WaitingFor | None
    preparation: PreparationDocument | None
    parent_job_id: str | None
    parent_image_id: str | None
    variant: int | None
    seed: int | None
    frames: int | None
    warnings: tuple[PictureWarning, ...]


class Links(msgspec.Struct, frozen=True):
    """The addresses of the job's other views."""

    self: str
    stream: str
    download: str
    archive: str
    cancel: str


class JobHead(msgspec.Struct, frozen=True, kw_only=True):
    """A job without its images, as `/events` and lists show it."""

    job_id: str
    status: JobStatus
    model: str
    params: dict[str, object]
    total: int
    counts: Counts
    progress: float
    cost_usd: float
    estimated_cost_usd: float | None
    waiting_for: WaitingFor | None
    cancel_requested: bool
    rejected: tuple[RejectedFile, ...]
    created_at: Moment
    updated_at: Moment
    finished_at: Moment | None
    expires_at: Moment | None
    metadata: Metadata
    comparison_id: str | None
    links: Links


class RequestWarning(msgspec.Struct, frozen=True):
    """What may not come out as the client expects. Nothing is refused because of it."""

    code: str
    message: str


NO_SEED: Final = RequestWarning(
    "no_seed",
    "This model has no seed. Its variants differ by chance alone, and none of them can be made again.",
)


class JobDocument(JobHead, frozen=True, kw_only=True):
    """The whole job."""

    warnings: tuple[RequestWarning, ...]
    images: tuple[ImageDocument, ...]


class ComparisonDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The jobs of one upload for several models, in the order of its fields `model`."""

    comparison_id: str
    jobs: tuple[JobDocument, ...]


def moment(ms: int | None) -> str | None:
    """Milliseconds since the epoch as RFC 3339 UTC."""
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def job_links(job_id: str) -> Links:
    """The links of a job's document."""
    return Links(
        self=f"{API}/status/{job_id}",
        stream=f"{API}/status/stream/{job_id}",
        download=f"{API}/download/{job_id}",
        archive=f"{API}/download/{job_id}/archive.zip",
        cancel=f"{API}/jobs/{job_id}/cancel",
    )


def file_url(job_id: str, image_id: str, kind: str) -> str:
    """The address of a file's download; the model itself needs no query."""
    url = f"{API}/download/{job_id}/{image_id}"
    return url if kind == "model" else f"{url}?file={kind}"


def image_document(job_id: str, row: ImageRow) -> ImageDocument:
    """One image's entry."""
    return ImageDocument(
        image_id=row.image_id,
        index=row.index,
        filename=row.filename,
        size=row.size,
        sha256=row.sha256,
        width=row.width,
        height=row.height,
        status=row.status,
        progress=PROGRESS[row.status],
        queue_position=row.queue_position,
        attempt=row.attempt,
        cached=row.cached,
        fal_request_id=row.request_id,
        cost_usd=None if row.cost_micro is None else to_usd(row.cost_micro),
        cost_uncertain=row.cost_uncertain,
        error=row.error,
        result=_result(job_id, row.image_id, row.result) if row.result else None,
        created_at=moment(row.created_at) or "",
        started_at=moment(row.started_at),
        finished_at=moment(row.finished_at),
        metadata=row.metadata,
        views=view_documents(row),
        waiting_for=_waiting_for(row),
        preparation=_preparation(job_id, row, row.preparation) if row.preparation else None,
        parent_job_id=row.parent_job_id,
        parent_image_id=row.parent_image_id,
        variant=row.variant,
        seed=row.seed,
        frames=_known_frames(row.views[0] if row.views else row),
        warnings=_picture_warnings(row),
    )


def prepared_kinds(row: ImageRow) -> list[str]:
    """The kinds of the prepared pictures: `prepared`, then `prepared-2` and so on for further views."""
    count = len(row.preparation.files) if row.preparation is not None else 0
    return ["prepared" if number == 1 else f"prepared-{number}" for number in range(1, count + 1)]


def _waiting_for(row: ImageRow) -> WaitingFor | None:
    """Why the image itself waits, whatever the others of its job do."""
    if row.status is ImageStatus.QUEUED and row.sha256 is None:
        return WaitingFor.FETCH
    if row.status is not ImageStatus.QUEUED or row.preparation is None:
        return None
    return WaitingFor.CONFIRMATION if row.preparation.awaits_confirmation else None


def _preparation(job_id: str, row: ImageRow, preparation: Preparation) -> PreparationDocument:
    under_way = preparation.remove_background is not None and len(preparation.cutouts) < max(
        1, len(row.views)
    )
    requests = [one.request_id for one in preparation.cutouts if one.request_id]
    if under_way and row.request_id:
        requests.append(row.request_id)
    return PreparationDocument(
        remove_background=preparation.remove_background,
        crop=preparation.crop,
        pad_square=preparation.pad_square,
        confirm_prepared=preparation.confirm_prepared,
        files=tuple(
            FileDocument(kind, file.format, file.size, file_url(job_id, row.image_id, kind))
            for kind, file in zip(prepared_kinds(row), preparation.files, strict=True)
        ),
        cost_usd=to_usd((row.cost_micro or 0) if under_way else preparation.cost_micro),
        fal_request_ids=tuple(requests),
    )


def view_documents(row: ImageRow) -> tuple[ViewDocument, ...]:
    """The pictures of an image."""
    if not row.views:
        return (
            ViewDocument(
                side=None,
                filename=row.filename,
                size=row.size,
                sha256=row.sha256,
                width=row.width,
                height=row.height,
                frames=_known_frames(row),
            ),
        )
    return tuple(
        ViewDocument(
            side=view.side or None,
            filename=view.filename,
            size=view.size,
            sha256=view.sha256,
            width=view.width,
            height=view.height,
            frames=_known_frames(view),
        )
        for view in row.views
    )


def _known_frames(picture: StoredView | ImageRow) -> int | None:
    return None if picture.sha256 is None else picture.frames


def _picture_warnings(row: ImageRow) -> tuple[PictureWarning, ...]:
    views: tuple[StoredView | ImageRow, ...] = row.views or (row,)
    found = [
        warning
        for view in views
        if (warning := frames_warning(view.filename, view.format, view.frames)) is not None
    ]
    found += [scaled_warning(views[one.view].filename, one) for one in row.scaled if one.view < len(views)]
    return tuple(found)


def _result(job_id: str, image_id: str, result: ImageResult) -> ResultDocument:
    return ResultDocument(
        files=tuple(_file(job_id, image_id, file) for file in result.files),
        mesh=result.mesh,
        warnings=result.warnings,
    )


def _file(job_id: str, image_id: str, file: ResultFile) -> FileDocument:
    return FileDocument(
        kind=file.kind, format=file.format, size=file.size, url=file_url(job_id, image_id, file.kind)
    )


def _head(job_id: str, job: JobRow, counts: Counts) -> dict[str, object]:
    return {
        "job_id": job_id,
        "status": counts.status,
        "model": job.model,
        "params": job.params,
        "total": job.total,
        "counts": counts,
        "progress": counts.progress,
        "cost_usd": to_usd(job.cost_micro),
        "estimated_cost_usd": None if job.estimated_micro is None else to_usd(job.estimated_micro),
        "waiting_for": job.waiting_for,
        "cancel_requested": job.cancel_requested,
        "rejected": job.rejected,
        "created_at": moment(job.created_at),
        "updated_at": moment(job.updated_at),
        "finished_at": moment(job.finished_at),
        "expires_at": moment(job.expires_at),
        "metadata": job.metadata,
        "comparison_id": job.comparison_id,
        "links": job_links(job_id),
    }


def job_head(snapshot: JobSnapshot) -> JobHead:
    """A job without its images."""
    return JobHead(**_head(snapshot.job_id, snapshot.job, snapshot.counts))  # type: ignore[arg-type]


def job_document(snapshot: JobSnapshot) -> JobDocument:
    """The whole job; `snapshot` must hold its images."""
    images = tuple(image_document(snapshot.job_id, row) for row in snapshot.images)
    head = _head(snapshot.job_id, snapshot.job, snapshot.counts)
    return JobDocument(**head, warnings=_warnings(snapshot), images=images)  # type: ignore[arg-type]


def _warnings(snapshot: JobSnapshot) -> tuple[RequestWarning, ...]:
    chance = any(row.seed is None and (row.variant or 1) > 1 for row in snapshot.images)
    return (NO_SEED,) if chance else ()


def comparison_document(jobs: Sequence[JobSnapshot]) -> ComparisonDocument:
    """The jobs of one comparison."""
    documents = tuple(map(job_document, jobs))
    return ComparisonDocument(comparison_id=documents[0].comparison_id or "", jobs=documents)
