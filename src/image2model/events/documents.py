"""The JSON documents of events: an image that has changed, and a job that has finished. Pure."""

import msgspec

from image2model.domain import Counts, JobStatus, WaitingFor
from image2model.events.history import ImageChanged, JobCompleted
from image2model.http.documents import (
    ImageDocument,
    JobDocument,
    JobHead,
    image_document,
    job_document,
    job_head,
)
from image2model.store.records import ImageRow, JobSnapshot


class ImageEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The data of an `image` event."""

    job_id: str
    status: JobStatus
    counts: Counts
    progress: float
    waiting_for: WaitingFor | None
    image: ImageDocument


def completed_document(job_id: str, body: JobCompleted) -> JobDocument:
    """The job as it was when it finished."""
    return job_document(_completed(job_id, body))


def completed_head(job_id: str, body: JobCompleted) -> JobHead:
    """The job as it was when it finished, without its images."""
    return job_head(_completed(job_id, body))


def _completed(job_id: str, body: JobCompleted) -> JobSnapshot:
    return JobSnapshot(
        job_id=job_id,
        version=0,
        owner="",
        deleted=False,
        job=body.job,
        counts=_counted(body.images),
        images=body.images,
    )


def _counted(images: tuple[ImageRow, ...]) -> Counts:
    counts: dict[str, int] = {}
    for image in images:
        counts[image.status.value] = counts.get(image.status.value, 0) + 1
    return Counts(**counts)


def image_event(job_id: str, body: ImageChanged) -> ImageEvent:
    """Build the data of an `image` event."""
    return ImageEvent(
        job_id=job_id,
        status=body.counts.status,
        counts=body.counts,
        progress=body.counts.progress,
        waiting_for=body.waiting_for,
        image=image_document(job_id, body.image),
    )
