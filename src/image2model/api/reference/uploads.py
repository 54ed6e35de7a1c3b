"""Batches in: the upload and the quote. Who calls it: the table."""

from typing import Final

from image2model import errors
from image2model.api.reference.examples import QUEUED_JOB, SHA256
from image2model.api.reference.form import BATCH_FORM
from image2model.api.reference.operation import Answer, Header, Operation, Parameter
from image2model.api.reference.shared import LOCATION
from image2model.fal.endpoints import DEFAULT_MODEL
from image2model.service.documents import JobDocument
from image2model.service.quote import ImageQuote, Quote

_FORM_PROBLEMS: Final = (
    errors.UploadTooSlow,
    errors.BodyTooLarge,
    errors.UnsupportedMediaType,
    errors.InvalidMultipart,
    errors.NoFiles,
    errors.TooManyFiles,
    errors.UnknownModel,
    errors.InvalidParameter,
)
_FILE_PROBLEMS: Final = (
    errors.FileTooLarge,
    errors.NotAnImage,
    errors.ImageTruncated,
    errors.ImageTooLarge,
)
_IDEMPOTENCY_KEY: Final = Parameter(
    name="Idempotency-Key",
    where="header",
    description="1 to 255 visible ASCII characters. The same request with the same key gives the first "
    "answer again, for 24 hours; only a 202 is kept.",
    example="2f1c5c1e-chairs",
    schema={"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]{1,255}$"},
)
_REPLAYED: Final = Header(
    name="Idempotent-Replayed",
    description="`true` where this is the first answer of the `Idempotency-Key` again.",
    example="true",
    always=False,
)
_GOOD: Final = ImageQuote(
    filename="chair.jpg",
    ok=True,
    size=482133,
    sha256=SHA256,
    format="jpeg",
    width=1024,
    height=768,
    cost_usd=0.3,
)
_BAD: Final = ImageQuote(
    filename="lamp.png",
    ok=False,
    code="image_truncated",
    detail="The file ends before the picture does. Save or copy it again.",
    cost_usd=0.0,
)
_QUOTE: Final = Quote(
    model=DEFAULT_MODEL,
    params={},
    accepted=False,
    total=2,
    good=1,
    bad=1,
    cost_usd_each=0.3,
    total_cost_usd=0.3,
    price_note="$0.30 with standard texture",
    images=(_GOOD, _BAD),
)

OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/api/v1/upload/batch",
        tag="Batches",
        id="uploadBatch",
        summary="Upload pictures as one job",
        description="What was answered 202 is stored and will run. A refused batch leaves nothing behind; "
        "where files are to blame, `errors` of the answer names each. 404 is for an `Idempotency-Key` "
        "whose job has been deleted since.",
        parameters=(_IDEMPOTENCY_KEY,),
        body=BATCH_FORM,
        answers=(
            Answer(
                status=202,
                description="The job, with one image for each good file.",
                shape=JobDocument,
                example=QUEUED_JOB,
                headers=(LOCATION, _REPLAYED),
            ),
        ),
        problems=(
            errors.BudgetExceeded,
            errors.QueueFull,
            errors.NotFound,
            errors.IdempotencyConflict,
            errors.IdempotencyInProgress,
            *_FORM_PROBLEMS,
            *_FILE_PROBLEMS,
            errors.DiskFull,
        ),
        counted=True,
    ),
    Operation(
        method="POST",
        path="/api/v1/quote",
        tag="Batches",
        id="quoteBatch",
        summary="Ask what a batch would cost and what is wrong with it",
        description="Takes the same form as the upload, keeps nothing and runs nothing.",
        body=BATCH_FORM,
        answers=(Answer(status=200, description="A verdict on each file.", shape=Quote, example=_QUOTE),),
        problems=_FORM_PROBLEMS,
        counted=True,
    ),
)
