"""Example documents for the OpenAPI reference: one job of two pictures, running and finished.

They are instances of the Structs in the code, so they always have the documents' real fields.
"""

from typing import Final

from msgspec.structs import replace

from image2model.domain import Counts, ImageError, ImageStatus, JobStatus, Mesh, RejectedFile
from image2model.events.documents import ImageEvent
from image2model.fal.endpoints import DEFAULT_MODEL
from image2model.http.documents import (
    ComparisonDocument,
    FileDocument,
    ImageDocument,
    JobDocument,
    JobHead,
    ResultDocument,
    ViewDocument,
    file_url,
    job_links,
)
from image2model.http.reference import IMAGE, JOB

CREATED: Final = "2026-11-24T09:40:03.120Z"
ENDED: Final = "2026-11-24T09:40:21.167Z"
EXPIRES: Final = "2026-12-01T09:40:21.167Z"
SHA256: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
FAL_REQUEST: Final = "764cabcf-b745-4b3e-ae38-1200304cf45b"
_OTHER: Final = "0f9d1c2b3a4958677685940312a1b0c9"
_PARENT_JOB: Final = "9d2f6c1be04a4d0c8f1e7b3a5c6d8e90"

QUEUED_IMAGE: Final = ImageDocument(
    image_id=IMAGE,
    index=0,
    filename="chair.jpg",
    size=482133,
    sha256=SHA256,
    width=1024,
    height=768,
    status=ImageStatus.QUEUED,
    progress=0.0,
    queue_position=None,
    attempt=1,
    cached=False,
    fal_request_id=None,
    cost_usd=None,
    cost_uncertain=False,
    error=None,
    result=None,
    created_at=CREATED,
    started_at=None,
    finished_at=None,
    metadata={"sku": "CHAIR-7"},
    views=(
        ViewDocument(
            side=None, filename="chair.jpg", size=482133, sha256=SHA256, width=1024, height=768, frames=1
        ),
    ),
    waiting_for=None,
    preparation=None,
    parent_job_id=None,
    parent_image_id=None,
    variant=None,
    seed=None,
    frames=1,
    warnings=(),
)
GENERATING_IMAGE: Final = replace(
    QUEUED_IMAGE,
    status=ImageStatus.GENERATING,
    progress=0.5,
    fal_request_id=FAL_REQUEST,
    started_at="2026-11-24T09:40:03.171Z",
)
FILES: Final = (
    FileDocument(kind="model", format="glb", size=2211840, url=file_url(JOB, IMAGE, "model")),
    FileDocument(kind="preview", format="webp", size=30122, url=file_url(JOB, IMAGE, "preview")),
)
SUCCEEDED_IMAGE: Final = replace(
    GENERATING_IMAGE,
    status=ImageStatus.SUCCEEDED,
    progress=1.0,
    cost_usd=0.3,
    result=ResultDocument(FILES, Mesh(18422, 9213, 3, ((-0.5, 0.0, -0.5), (0.5, 1.0, 0.5))), ()),
    finished_at=ENDED,
)
FAILURE: Final = ImageError(
    "rejected_by_model", "The image contains no object.", retryable=False, fal_type="no_object"
)
FAILED_IMAGE: Final = replace(
    GENERATING_IMAGE,
    image_id=_OTHER,
    index=1,
    filename="lamp.png",
    status=ImageStatus.FAILED,
    progress=1.0,
    error=FAILURE,
    finished_at=ENDED,
)


def _job(status: JobStatus, progress: float, counts: Counts, *images: ImageDocument) -> JobDocument:
    over = status in {JobStatus.SUCCEEDED, JobStatus.PARTIAL}
    return JobDocument(
        job_id=JOB,
        status=status,
        model=DEFAULT_MODEL,
        params={"texture": "standard"},
        total=len(images),
        counts=counts,
        progress=progress,
        cost_usd=sum(image.cost_usd or 0.0 for image in images),
        estimated_cost_usd=0.3 * len(images),
        waiting_for=None,
        cancel_requested=False,
        rejected=(),
        created_at=CREATED,
        updated_at=ENDED if over else CREATED,
        finished_at=ENDED if over else None,
        expires_at=EXPIRES if over else None,
        metadata={"shop": "berlin", "order": 1001},
        comparison_id=None,
        links=job_links(JOB),
        warnings=(),
        images=images,
    )


COMPARISON: Final = "8c1f0a5be2d94f37a6c0de5b9714c2e8"


def _compared(job: JobDocument, model: str) -> JobDocument:
    return replace(
        job, job_id=_OTHER, model=model, params={}, comparison_id=COMPARISON, links=job_links(_OTHER)
    )


def without_images(job: JobDocument) -> JobHead:
    """The same job without its images."""
    return JobHead(**{name: getattr(job, name) for name in JobHead.__struct_fields__})


_WAITING: Final = replace(QUEUED_IMAGE, image_id=_OTHER, index=1, filename="lamp.png")
QUEUED_JOB: Final = _job(JobStatus.QUEUED, 0.0, Counts(queued=2), QUEUED_IMAGE, _WAITING)
QUEUED_COMPARISON: Final = ComparisonDocument(
    comparison_id=COMPARISON,
    jobs=(replace(QUEUED_JOB, comparison_id=COMPARISON), _compared(QUEUED_JOB, "fal-ai/trellis")),
)
SKIPPED_JOB: Final = replace(
    _job(JobStatus.QUEUED, 0.0, Counts(queued=1), QUEUED_IMAGE),
    rejected=(RejectedFile("notes.txt", "not_an_image", "The file looks like text. Send a picture."),),
)
DERIVED_JOB: Final = replace(
    _job(
        JobStatus.QUEUED,
        0.0,
        Counts(queued=1),
        replace(QUEUED_IMAGE, image_id=_OTHER, metadata={}, parent_job_id=_PARENT_JOB, parent_image_id=IMAGE),
    ),
    model="fal-ai/hunyuan-3d/v3.1/smart-topology",
    params={"face_level": "low"},
    estimated_cost_usd=None,
)
RUNNING_JOB: Final = _job(JobStatus.RUNNING, 0.25, Counts(queued=1, generating=1), GENERATING_IMAGE, _WAITING)
PARTIAL_JOB: Final = _job(
    JobStatus.PARTIAL, 1.0, Counts(succeeded=1, failed=1), SUCCEEDED_IMAGE, FAILED_IMAGE
)
CANCELLED_JOB: Final = replace(RUNNING_JOB, cancel_requested=True)
IMAGE_EVENT: Final = ImageEvent(
    job_id=JOB,
    status=JobStatus.RUNNING,
    counts=RUNNING_JOB.counts,
    progress=0.25,
    waiting_for=None,
    image=GENERATING_IMAGE,
)
