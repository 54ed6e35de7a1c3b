"""The reference of jobs and results: each operation with its parameters, answers and problems."""

import re
from typing import Final

from image2model import errors
from image2model.domain import ImageStatus, JobStatus
from image2model.events.examples import (
    CANCELLED_JOB,
    EXPIRES,
    FILES,
    PARTIAL_JOB,
    QUEUED_JOB,
    RUNNING_JOB,
    SUCCEEDED_IMAGE,
    without_images,
)
from image2model.http.documents import JobDocument
from image2model.http.reference import (
    APPLIED,
    CURSOR,
    ETAG,
    IF_NONE_MATCH,
    IMAGE,
    IMAGE_ID,
    JOB,
    JOB_ID,
    PREFER,
    Answer,
    Body,
    Header,
    Operation,
    Parameter,
    limit,
)
from image2model.jobs.archive import Manifest
from image2model.jobs.downloads import Downloads, ImageFiles
from image2model.jobs.http import ConfirmBody, RetryBody
from image2model.jobs.listing import COMPARISON, DEFAULT_LIMIT, MAX_LIMIT, JobPage
from image2model.jobs.metadata import FILTER, MAX_FILTERS, MAX_KEY
from image2model.jobs.openapi_uploads import IDEMPOTENCY_KEY, REPLAYED

_JOB_PROBLEMS: Final = (errors.NotFound, errors.Expired)
_STATUSES: Final = "|".join(JobStatus)
STATUS: Final = Parameter(
    name="status",
    where="query",
    description="Only jobs in this status, or in one of several, with commas between them.",
    example="queued,running",
    schema={"type": "string", "pattern": f"^({_STATUSES})(,({_STATUSES}))*$"},
)
METADATA: Final = Parameter(
    name="metadata",
    where="query",
    description="`metadata.KEY=VALUE`: only jobs that have this value under this key in their `metadata`, or "
    "in that of one of their images, such as `metadata.sku=CHAIR-7`. Anything but a string is written as in "
    f"JSON. A job must pass every such filter; at most {MAX_FILTERS}.",
    example={f"{FILTER}sku": "CHAIR-7"},
    schema={
        "type": "object",
        "propertyNames": {"pattern": f"^{re.escape(FILTER)}[A-Za-z0-9_.-]{{1,{MAX_KEY}}}$"},
        "additionalProperties": {"type": "string"},
    },
)
_COMPARISON: Final = Parameter(
    name=COMPARISON,
    where="query",
    description="Only the jobs of one upload for several models, by their `comparison_id`.",
    example=JOB,
    schema={"type": "string", "pattern": "^[0-9a-f]{32}$"},
)
_PAGE: Final = JobPage(jobs=(without_images(PARTIAL_JOB),), next_cursor="kssBk2EyYjNj")

JOB_OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/v1/status/{job_id}",
        tag="Jobs",
        id="getJob",
        summary="A job as it is now",
        description="A client that polls sends the last `ETag` as `If-None-Match`. It gets 304 while "
        "nothing changes.",
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
        problems=_JOB_PROBLEMS,
    ),
    Operation(
        method="GET",
        path="/api/v1/jobs",
        tag="Jobs",
        id="listJobs",
        summary="The caller's jobs, newest first",
        description="A page may be short of its limit; only a null `next_cursor` is the end.",
        parameters=(STATUS, METADATA, _COMPARISON, limit(MAX_LIMIT, DEFAULT_LIMIT), CURSOR),
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
        parameters=(JOB_ID, PREFER),
        answers=(
            Answer(
                status=202,
                description="The job as it is now.",
                shape=JobDocument,
                example=CANCELLED_JOB,
                headers=(APPLIED,),
            ),
        ),
        problems=(*_JOB_PROBLEMS, errors.AlreadyFinished),
    ),
    Operation(
        method="POST",
        path="/api/v1/jobs/{job_id}/retry",
        tag="Jobs",
        id="retryJob",
        summary="Run failed images again",
        description="Each is a new attempt that is paid for. Without a body every failed image runs again, "
        "with the parameters as before. A variant keeps its seed, unless the parameters name one.",
        parameters=(JOB_ID, PREFER),
        body=Body(
            description="Which images, and parameters in place of the job's. Both are optional.",
            shape=RetryBody,
            required=False,
            examples={
                "all": RetryBody(),
                "one, otherwise": RetryBody(image_ids=[IMAGE], params={"texture": "HD"}),
            },
        ),
        answers=(
            Answer(
                status=202,
                description="The job as it is now.",
                shape=JobDocument,
                example=RUNNING_JOB,
                headers=(APPLIED,),
            ),
        ),
        problems=(
            *_JOB_PROBLEMS,
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
        description="The image's `warnings` name the files that could not be fetched when it succeeded. FAL "
        "keeps files for days, so they may be available now. It costs nothing. When files arrive, an `image` "
        "event follows and, where the job has ended, another `complete`. Where no file is missing, nothing "
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
        problems=(*_JOB_PROBLEMS, errors.NotReady),
        counted=True,
    ),
    Operation(
        method="POST",
        path="/api/v1/jobs/{job_id}/images/{image_id}/confirm",
        tag="Jobs",
        id="confirmImage",
        summary="Go on with prepared pictures, or not",
        description="For an image that was uploaded with `confirm_prepared=true`. `?file=prepared` of its "
        "download shows the picture. Without a body it is accepted, and its model is made of it. With "
        '`{"accept": false}` the image is cancelled: only the preparation was paid for. The same answer '
        "again changes nothing. 409 `not_ready` while the picture is being prepared, `already_finished` once "
        "the image has ended.",
        parameters=(JOB_ID, IMAGE_ID, IDEMPOTENCY_KEY, PREFER),
        body=Body(
            description="Whether the picture is accepted; without a body it is.",
            shape=ConfirmBody,
            required=False,
            examples={"go on": ConfirmBody(), "stop": ConfirmBody(accept=False)},
        ),
        answers=(
            Answer(
                status=202,
                description="The job as it is now.",
                shape=JobDocument,
                example=QUEUED_JOB,
                headers=(REPLAYED, APPLIED),
            ),
        ),
        problems=(
            *_JOB_PROBLEMS,
            errors.NotReady,
            errors.AlreadyFinished,
            errors.IdempotencyConflict,
            errors.IdempotencyInProgress,
            errors.InvalidParameter,
        ),
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
        problems=_JOB_PROBLEMS,
    ),
)
_FILE: Final = Parameter(
    name="file",
    where="query",
    description="Which file: `original` (what was uploaded), `prepared` (what is sent to the model, where it "
    "was prepared), or a `kind` that the list names.",
    example="model",
    schema={"type": "string", "default": "model"},
)
_TOKEN: Final = Parameter(
    name="token", where="path", description="Names the file and the link's expiry; signed.", example="AbC123"
)
_RANGE: Final = Parameter(
    name="Range",
    where="header",
    description="One range of bytes; several, and other units, are ignored.",
    example="bytes=0-1023",
)
_IF_RANGE: Final = Parameter(
    name="If-Range", where="header", description="Send the range only if the file still has this `ETag`."
)
_LINK: Final = Header(
    name="Location",
    description="The file's address for an hour: the storage's own, ours, or FAL's under "
    "`I2M_RESULTS=redirect`.",
    example="/api/v1/files/AbC123",
)
_ATTACHMENT: Final = Header(
    name="Content-Disposition",
    description="`attachment`, with the file's name.",
    example="attachment; filename=\"chair.glb\"; filename*=UTF-8''chair.glb",
)
_RANGES: Final = Header(name="Accept-Ranges", description="The server accepts byte ranges.", example="bytes")
_CONTENT_RANGE: Final = Header(
    name="Content-Range", description="Which bytes, of how many.", example="bytes 0-1023/2211840"
)
_OF_FILE: Final = (ETAG, _RANGES, _ATTACHMENT)
_DOWNLOADS: Final = Downloads(
    job_id=JOB,
    status=JobStatus.SUCCEEDED,
    expires_at=EXPIRES,
    metadata=PARTIAL_JOB.metadata,
    images=(
        ImageFiles(
            image_id=IMAGE,
            index=0,
            filename="chair.jpg",
            status=ImageStatus.SUCCEEDED,
            metadata=SUCCEEDED_IMAGE.metadata,
            files=FILES,
        ),
    ),
)

RESULT_OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/v1/download/{job_id}",
        tag="Results",
        id="listFiles",
        summary="The files of a job",
        description="One entry for each image; `files` is empty until it has succeeded.",
        parameters=(JOB_ID,),
        answers=(Answer(status=200, description="The list.", shape=Downloads, example=_DOWNLOADS),),
        problems=_JOB_PROBLEMS,
    ),
    Operation(
        method="GET",
        path="/api/v1/download/{job_id}/{image_id}",
        tag="Results",
        id="downloadFile",
        summary="One file",
        description="Redirects to the file. Follow the redirect (`curl -L`).",
        parameters=(JOB_ID, IMAGE_ID, _FILE),
        answers=(
            Answer(
                status=200,
                description="What a client has got that follows the redirect: the file.",
                media_type="*/*",
                binary=True,
            ),
            Answer(status=307, description="The file's address is in `Location`.", headers=(_LINK,)),
        ),
        problems=(*_JOB_PROBLEMS, errors.NotReady),
    ),
    Operation(
        method="GET",
        path="/api/v1/download/{job_id}/archive.zip",
        tag="Results",
        id="downloadArchive",
        summary="All models of a job as one ZIP",
        description="Streamed: the models that are finished, and `manifest.json`, which also says why others "
        "are missing. An archive is whole or the connection is cut.",
        parameters=(JOB_ID,),
        answers=(
            Answer(
                status=200,
                description="The archive.",
                media_type="application/zip",
                binary=True,
                contains={"manifest.json": Manifest},
                headers=(_ATTACHMENT,),
            ),
        ),
        problems=(*_JOB_PROBLEMS, errors.NotReady),
    ),
    Operation(
        method="GET",
        path="/api/v1/files/{token}",
        tag="Results",
        id="getFile",
        summary="A file of the service's own storage",
        description="The address that a download redirects to. The token is the credential; it needs no key.",
        parameters=(_TOKEN, IF_NONE_MATCH, _RANGE, _IF_RANGE),
        answers=(
            Answer(status=200, description="The file.", media_type="*/*", binary=True, headers=_OF_FILE),
            Answer(
                status=206,
                description="The range.",
                media_type="*/*",
                binary=True,
                headers=(*_OF_FILE, _CONTENT_RANGE),
            ),
            Answer(status=304, description="The client has it already.", headers=(ETAG,)),
            Answer(status=416, description="The range begins behind the end.", headers=(_CONTENT_RANGE,)),
        ),
        problems=_JOB_PROBLEMS,
        access="open",
    ),
    Operation(
        method="GET",
        path="/api/v1/images/{job_id}/{image_id}/thumbnail",
        tag="Results",
        id="getThumbnail",
        summary="A small picture of what was uploaded",
        description="At most 256 pixels wide and high, turned upright. It never changes.",
        parameters=(JOB_ID, IMAGE_ID, IF_NONE_MATCH),
        answers=(
            Answer(
                status=200,
                description="The thumbnail.",
                media_type="image/webp",
                binary=True,
                headers=(ETAG,),
            ),
            Answer(status=304, description="The client has it already.", headers=(ETAG,)),
        ),
        problems=_JOB_PROBLEMS,
    ),
)
