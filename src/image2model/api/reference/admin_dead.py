"""Dead letters, for the role `admin`. Who calls it: the table."""

from typing import Final

from image2model import errors
from image2model.api.reference.examples import (
    CREATED,
    ENDED,
    FAILED_IMAGE,
    FAILURE,
    FAL_REQUEST,
    RUNNING_JOB,
)
from image2model.api.reference.operation import Answer, Body, Operation, Parameter
from image2model.api.reference.shared import CURSOR, IMAGE_ID, JOB, limit
from image2model.domain import ImageStatus
from image2model.fal.endpoints import DEFAULT_MODEL
from image2model.service.dead import (
    DEFAULT_LIMIT,
    MOST_LISTED,
    AttemptDocument,
    ChangeDocument,
    DeadDocument,
    DeadPage,
    Replayed,
    ReplayWish,
)
from image2model.service.documents import JobDocument

_LETTER: Final = DeadDocument(
    image_id=FAILED_IMAGE.image_id,
    job_id=JOB,
    owner="3f9a1c20b7d84e55",
    model=DEFAULT_MODEL,
    failed_at=ENDED,
    error=FAILURE,
    image=FAILED_IMAGE,
    attempts=(AttemptDocument(1, FAL_REQUEST, CREATED, ENDED, ImageStatus.FAILED, FAILURE),),
    history=(
        ChangeDocument(CREATED, ImageStatus.SUBMITTED, 1, FAL_REQUEST, None),
        ChangeDocument(ENDED, ImageStatus.FAILED, 1, FAL_REQUEST, FAILURE),
    ),
)


def _filter(name: str, description: str) -> Parameter:
    return Parameter(name=name, where="query", description=description)


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/v1/admin/dead",
        tag="Administration",
        id="listDeadLetters",
        summary="Images that have failed for good",
        description="Of all owners, newest first, each with its attempts and its history.",
        parameters=(
            _filter("code", "Only images whose error has this code."),
            _filter("model", "Only images of this model."),
            _filter("owner", "Only images of this owner."),
            limit(MOST_LISTED, DEFAULT_LIMIT),
            CURSOR,
        ),
        answers=(
            Answer(
                status=200,
                description="One page.",
                shape=DeadPage,
                example=DeadPage(images=(_LETTER,), next_cursor=None),
            ),
        ),
        problems=(errors.InvalidParameter,),
        access="admin",
    ),
    Operation(
        method="POST",
        path="/api/v1/admin/dead/{image_id}/replay",
        tag="Administration",
        id="replayDeadLetter",
        summary="Run one failed image again",
        description="It is a new attempt that is paid for.",
        parameters=(IMAGE_ID,),
        answers=(Answer(status=202, description="The image's job.", shape=JobDocument, example=RUNNING_JOB),),
        problems=(errors.NotFound, errors.AlreadyFinished),
        access="admin",
    ),
    Operation(
        method="POST",
        path="/api/v1/admin/dead/replay",
        tag="Administration",
        id="replayDeadLetters",
        summary="Run many failed images again",
        description="The newest first. Each is paid for, so all of them only with `all`.",
        body=Body(
            description="Which, and how many at most.",
            shape=ReplayWish,
            examples={"one code": ReplayWish(code="generation_failed", limit=100)},
        ),
        answers=(
            Answer(
                status=202,
                description="How many run again.",
                shape=Replayed,
                example=Replayed(replayed=1, job_ids=(JOB,), more=False),
            ),
        ),
        problems=(errors.InvalidParameter, errors.BodyTooLarge, errors.UploadTooSlow),
        access="admin",
    ),
)
