"""Jobs: their documents, the list of them, and what may be done to one. Who calls it: the table."""

from typing import Final

from image2model import errors
from image2model.api.jobs import RetryBody
from image2model.api.reference.examples import CANCELLED_JOB, PARTIAL_JOB, RUNNING_JOB, head
from image2model.api.reference.operation import Answer, Body, Operation, Parameter
from image2model.api.reference.shared import (
    CURSOR,
    ETAG,
    IF_NONE_MATCH,
    IMAGE,
    IMAGE_ID,
    JOB_ID,
    limit,
)
from image2model.domain import JobStatus
from image2model.service.documents import JobDocument
from image2model.service.job_list import DEFAULT_LIMIT, MOST, JobPage

_ONE: Final = (errors.NotFound, errors.Expired)
_STATUSES: Final = "|".join(JobStatus)
STATUS: Final = Parameter(
    name="status",
    where="query",
    description="Only jobs in this status, or in one of several, with commas between them.",
    example="queued,running",
    schema={"type": "string", "pattern": f"^({_STATUSES})(,({_STATUSES}))*$"},
)
_PAGE: Final = JobPage(jobs=(head(PARTIAL_JOB),), next_cursor="kssBk2EyYjNj")

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/v1/status/{job_id}",
        tag="Jobs",
        id="getJob",
        summary="A job as it is now",
        description="Who polls sends the last `ETag` as `If-None-Match` and gets 304 while nothing moves.",
        parameters=(JOB_ID, IF_NONE_MATCH),
        answers=(
            Answer(
                status=200,
                description="The job's document.",
                shape=JobDocument,
                example=PARTIAL_JOB,
                headers=(ETAG,),
            ),
            Answer(status=304, description="Nothing has changed.", headers=(ETAG,)),
        ),
        problems=_ONE,
    ),
    Operation(
        method="GET",
        path="/api/v1/jobs",
        tag="Jobs",
        id="listJobs",
        summary="The caller's jobs, newest first",
        description="A page may be short of its limit; only a null `next_cursor` is the end.",
        parameters=(STATUS, limit(MOST, DEFAULT_LIMIT), CURSOR),
        answers=(Answer(status=200, description="One page, without images.", shape=JobPage, example=_PAGE),),
        problems=(errors.InvalidParameter,),
    ),
    Operation(
        method="POST",
        path="/api/v1/jobs/{job_id}/cancel",
        tag="Jobs",
        id="cancelJob",
        summary="Cancel what is not finished",
        description="What has not been sent to FAL is cancelled at once. What FAL has is asked to stop and "
        "followed: if FAL finishes it nevertheless, it is `succeeded` and billed.",
        parameters=(JOB_ID,),
        answers=(
            Answer(status=202, description="The job as it is now.", shape=JobDocument, example=CANCELLED_JOB),
        ),
        problems=(*_ONE, errors.AlreadyFinished),
    ),
    Operation(
        method="POST",
        path="/api/v1/jobs/{job_id}/retry",
        tag="Jobs",
        id="retryJob",
        summary="Run failed images again",
        description="Each is a new attempt that is paid for. Without a body every failed image runs again, "
        "with the parameters as before.",
        parameters=(JOB_ID,),
        body=Body(
            description="Which images, and parameters in place of the job's. All may be left out.",
            shape=RetryBody,
            required=False,
            examples={
                "all": RetryBody(),
                "one, otherwise": RetryBody(image_ids=[IMAGE], params={"texture": "HD"}),
            },
        ),
        answers=(
            Answer(status=202, description="The job as it is now.", shape=JobDocument, example=RUNNING_JOB),
        ),
        problems=(
            *_ONE,
            errors.AlreadyFinished,
            errors.InvalidParameter,
            errors.BodyTooLarge,
            errors.UploadTooSlow,
            errors.BudgetExceeded,
            errors.QueueFull,
        ),
        counted=True,
    ),
    Operation(
        method="POST",
        path="/api/v1/jobs/{job_id}/images/{image_id}/files/refresh",
        tag="Jobs",
        id="refreshFiles",
        summary="Fetch missing files of an image again",
        description="What FAL named and could not be had when the image succeeded stands in its `warnings`. "
        "FAL keeps files for days, so it may be had now; it costs nothing. What has come is told by an "
        "`image` event and, where the job has ended, another `complete`. Where nothing is missing nothing "
        "happens.",
        parameters=(JOB_ID, IMAGE_ID),
        answers=(
            Answer(
                status=202,
                description="The job as it is now, before anything is fetched.",
                shape=JobDocument,
                example=PARTIAL_JOB,
            ),
        ),
        problems=(*_ONE, errors.NotReady),
        counted=True,
    ),
    Operation(
        method="DELETE",
        path="/api/v1/jobs/{job_id}",
        tag="Jobs",
        id="deleteJob",
        summary="Delete a job and its files",
        description="From the answer on the job is not found. What still runs is cancelled and followed to "
        "its end; then job and files are erased.",
        parameters=(JOB_ID,),
        answers=(Answer(status=204, description="Deleted."),),
        problems=_ONE,
    ),
)
