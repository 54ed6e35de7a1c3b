"""What comes out: lists of files, the files, archives, thumbnails. Who calls it: the table."""

from typing import Final

from image2model import errors
from image2model.api.reference.examples import EXPIRES, FILES
from image2model.api.reference.operation import Answer, Header, Operation, Parameter
from image2model.api.reference.shared import ETAG, IF_NONE_MATCH, IMAGE, IMAGE_ID, JOB, JOB_ID
from image2model.domain import ImageStatus, JobStatus
from image2model.service.downloads import Downloads, ImageFiles

_ONE: Final = (errors.NotFound, errors.Expired)
_FILE: Final = Parameter(
    name="file",
    where="query",
    description="Which file: `original` (what was uploaded), or a `kind` that the list names.",
    example="model",
    schema={"type": "string", "default": "model"},
)
_TOKEN: Final = Parameter(
    name="token", where="path", description="Says which file, and until when; signed.", example="AbC123"
)
_RANGE: Final = Parameter(
    name="Range",
    where="header",
    description="One range of bytes; several, and other units, are ignored.",
    example="bytes=0-1023",
)
_IF_RANGE: Final = Parameter(
    name="If-Range", where="header", description="The range only if the file has this `ETag` still."
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
_RANGES: Final = Header(name="Accept-Ranges", description="Ranges of bytes are taken.", example="bytes")
_CONTENT_RANGE: Final = Header(
    name="Content-Range", description="Which bytes, of how many.", example="bytes 0-1023/2211840"
)
_OF_FILE: Final = (ETAG, _RANGES, _ATTACHMENT)
_DOWNLOADS: Final = Downloads(
    job_id=JOB,
    status=JobStatus.SUCCEEDED,
    expires_at=EXPIRES,
    images=(
        ImageFiles(image_id=IMAGE, index=0, filename="chair.jpg", status=ImageStatus.SUCCEEDED, files=FILES),
    ),
)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/v1/download/{job_id}",
        tag="Results",
        id="listFiles",
        summary="The files of a job",
        description="One entry for each image; `files` is empty until it has succeeded.",
        parameters=(JOB_ID,),
        answers=(Answer(status=200, description="The list.", shape=Downloads, example=_DOWNLOADS),),
        problems=_ONE,
    ),
    Operation(
        method="GET",
        path="/api/v1/download/{job_id}/{image_id}",
        tag="Results",
        id="downloadFile",
        summary="One file",
        description="Redirects to where the file is. Follow the redirect (`curl -L`).",
        parameters=(JOB_ID, IMAGE_ID, _FILE),
        answers=(Answer(status=307, description="The file is there.", headers=(_LINK,)),),
        problems=(*_ONE, errors.NotReady),
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
                headers=(_ATTACHMENT,),
            ),
        ),
        problems=(*_ONE, errors.NotReady),
    ),
    Operation(
        method="GET",
        path="/api/v1/files/{token}",
        tag="Results",
        id="getFile",
        summary="A file of the service's own storage",
        description="The address that a download redirects to. The token is the credential: no key is asked.",
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
        problems=_ONE,
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
        problems=_ONE,
    ),
)
