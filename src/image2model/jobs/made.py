"""Jobs as they were when they were made: the first answer, and what an idempotency key repeats. Pure."""

import msgspec

from image2model.domain import Counts, ImageStatus, StoredView
from image2model.jobs.new_jobs import NewImage, NewJob
from image2model.store.records import ImageRow, JobRow, JobSnapshot


def created_job(job: NewJob, at: int) -> JobSnapshot:
    """A job that has just been made."""
    return JobSnapshot(
        job_id=job.job_id,
        version=0,
        owner=job.owner,
        deleted=False,
        job=JobRow(
            model=job.model,
            params=job.params,
            total=len(job.images),
            created_at=at,
            updated_at=at,
            finished_at=None,
            expires_at=None,
            waiting_for=None,
            cancel_requested=False,
            rejected=job.rejected,
            estimated_micro=job.estimated_micro,
            cost_micro=0,
            metadata=job.metadata,
            comparison_id=job.comparison_id or None,
        ),
        counts=Counts(queued=len(job.images)),
        images=tuple(_created_image(image, index, at) for index, image in enumerate(job.images)),
    )


def _created_image(image: NewImage, index: int, at: int) -> ImageRow:
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
        created_at=at,
        started_at=None,
        finished_at=None,
        metadata=image.metadata,
        views=image.views,
        preparation=image.preparation,
        parent_job_id=image.parent_job_id or None,
        parent_image_id=image.parent_image_id or None,
        variant=image.variant,
        seed=image.seed,
        frames=image.frames,
        addressed=bool(image.addressed),
    )


def as_made(job: JobSnapshot) -> JobSnapshot:
    """A job that may have come far since, as `create` returned it."""
    row = msgspec.structs.replace(
        job.job,
        updated_at=job.job.created_at,
        finished_at=None,
        expires_at=None,
        waiting_for=None,
        cancel_requested=False,
        cost_micro=0,
    )
    images = tuple(map(_image_as_made, job.images))
    counts = Counts(queued=len(images))
    return msgspec.structs.replace(job, version=0, job=row, counts=counts, images=images)


def _image_as_made(image: ImageRow) -> ImageRow:
    if image.addressed or any(view.addressed for view in image.views):
        image = _before_fetch(image)
    return msgspec.structs.replace(
        image,
        status=ImageStatus.QUEUED,
        queue_position=None,
        attempt=1,
        cached=False,
        request_id=None,
        cost_micro=None,
        cost_uncertain=False,
        error=None,
        result=None,
        started_at=None,
        finished_at=None,
        scaled=(),
        preparation=None if image.preparation is None else image.preparation.as_made(),
    )


def _before_fetch(image: ImageRow) -> ImageRow:
    views = tuple(
        StoredView(file_id=view.file_id, filename=view.filename, side=view.side, addressed=True)
        if view.addressed
        else view
        for view in image.views
    )
    image = msgspec.structs.replace(image, views=views, size=None, sha256=None)
    return msgspec.structs.replace(image, width=None, height=None) if image.addressed else image
