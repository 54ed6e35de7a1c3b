"""The document of a job as it was in the moment it was made: the answer to the upload that made it.

Who calls it: the acceptance of a batch, for the first answer and for the same answer given again. Pure.
"""

import msgspec

from image2model.domain import Counts, ImageStatus, RejectedFile
from image2model.service import documents
from image2model.store.jobs import NewImage, NewJob
from image2model.store.rows import ImageRow, JobRow, JobSnapshot


def of_new(job: NewJob, made_at: int) -> documents.JobDocument:
    """Of a job that was made just now, at `made_at` ms since the epoch."""
    row = _job_row(
        model=job.model,
        params=job.params,
        total=len(job.images),
        made_at=made_at,
        rejected=job.rejected,
        estimated_micro=job.estimated_micro,
    )
    images = tuple(_image_row(image, index, made_at) for index, image in enumerate(job.images))
    return _document(job.job_id, row, images)


def of_existing(job: JobSnapshot) -> documents.JobDocument:
    """Of a job that may have come far since."""
    row = _job_row(
        model=job.job.model,
        params=job.job.params,
        total=job.job.total,
        made_at=job.job.created_at,
        rejected=job.job.rejected,
        estimated_micro=job.job.estimated_micro,
    )
    return _document(job.job_id, row, tuple(map(_as_made, job.images)))


def _document(job_id: str, row: JobRow, images: tuple[ImageRow, ...]) -> documents.JobDocument:
    counts = Counts(queued=len(images))
    return documents.job_document(
        JobSnapshot(job_id=job_id, version=0, owner="", deleted=False, job=row, counts=counts, images=images)
    )


def _job_row(
    *,
    model: str,
    params: dict[str, object],
    total: int,
    made_at: int,
    rejected: tuple[RejectedFile, ...],
    estimated_micro: int | None,
) -> JobRow:
    return JobRow(
        model=model,
        params=params,
        total=total,
        created_at=made_at,
        updated_at=made_at,
        finished_at=None,
        expires_at=None,
        waiting_for=None,
        cancel_requested=False,
        rejected=rejected,
        estimated_micro=estimated_micro,
        cost_micro=0,
    )


def _image_row(image: NewImage, index: int, made_at: int) -> ImageRow:
    return ImageRow(
        image_id=image.image_id,
        index=index,
        filename=image.filename,
        size=image.size,
        sha256=image.sha256,
        width=image.width,
        height=image.height,
        format=image.format,
        status=ImageStatus.QUEUED,
        queue_position=None,
        attempt=1,
        cached=False,
        request_id=None,
        cost_micro=None,
        error=None,
        result=None,
        created_at=made_at,
        started_at=None,
        finished_at=None,
        cost_uncertain=False,
    )


def _as_made(row: ImageRow) -> ImageRow:
    return msgspec.structs.replace(
        row,
        status=ImageStatus.QUEUED,
        queue_position=None,
        attempt=1,
        cached=False,
        request_id=None,
        cost_micro=None,
        error=None,
        result=None,
        started_at=None,
        finished_at=None,
        cost_uncertain=False,
    )
