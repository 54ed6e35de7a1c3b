"""The reference of uploads and quotes: the multipart form and the operations."""

from typing import Final

from msgspec.structs import replace

from image2model import errors
from image2model.domain import SIDES
from image2model.events.examples import QUEUED_COMPARISON, QUEUED_JOB, SHA256
from image2model.fal.endpoints import DEFAULT_MODEL, DEFAULT_REMOVER
from image2model.http.documents import JobDocument
from image2model.http.picture_warnings import PictureWarning
from image2model.http.reference import (
    APPLIED,
    LOCATION,
    PREFER,
    Answer,
    Body,
    Header,
    Operation,
    Parameter,
    Schema,
)
from image2model.http.upload import MAX_VIEWS
from image2model.http.upload.reader import MAX_MODELS, MODEL, VARIANTS
from image2model.jobs.metadata import MAX_KEY
from image2model.jobs.quote import ImageQuote, Quote, compared
from image2model.jobs.variants import MAX_VARIANTS
from image2model.media.advice import SEVERAL_OBJECTS

METADATA_SCHEMA: Final[Schema] = {
    "type": "object",
    "propertyNames": {"pattern": f"^[A-Za-z0-9_.-]{{1,{MAX_KEY}}}$"},
    "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
}
_PART: Final[Schema] = {
    "type": "integer",
    "minimum": 0,
    "description": "The index of a file among all files of the form, in its order; the first is 0.",
}
_NAME: Final = r"[^\[\]]{1,80}"
_VIEW: Final[Schema] = {"type": "string", "format": "binary"}
MANIFEST_SCHEMA: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "files": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["part"],
                "additionalProperties": False,
                "properties": {"part": _PART, "metadata": METADATA_SCHEMA},
            },
        },
        "objects": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string", "pattern": f"^{_NAME}$"},
                    "views": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": MAX_VIEWS,
                        "items": {
                            "type": "object",
                            "required": ["part"],
                            "additionalProperties": False,
                            "properties": {"part": _PART, "side": {"type": "string", "enum": list(SIDES)}},
                        },
                    },
                    "metadata": METADATA_SCHEMA,
                },
            },
        },
    },
}
TEXTS: Final[Schema] = {
    "model": {
        "type": "string",
        "default": DEFAULT_MODEL,
        "description": "The endpoint that makes the models: one of `GET /api/v1/models`.",
    },
    "face_limit": {
        "type": "integer",
        "minimum": 1,
        "description": "Most faces of a mesh. It becomes the model's own parameter; 422 if it has none.",
    },
    "params": {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"type": "object"},
        "description": "A JSON object of the model's parameters, by its schema in `GET /api/v1/models`. Of "
        "several models: the same parameters for all, or an object of them for each, by the model's id.",
    },
    VARIANTS: {
        "type": "integer",
        "minimum": 1,
        "maximum": MAX_VARIANTS,
        "description": "How many models are made of each picture, each with a seed of its own, which the "
        "image's document shows. They count as so many images.",
    },
    "params_strict": {
        "type": "boolean",
        "default": True,
        "description": "`false`: pass parameters that the schema does not have to FAL as they are.",
    },
    "max_cost_usd": {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 999999.999999,
        "description": "The most that all pictures of the request may cost, in dollars. Needed where the "
        "price is not known before the run, and then set aside in equal shares.",
    },
    "webhook_url": {
        "type": "string",
        "format": "uri",
        "description": "Called with the job's document when the job has ended: https, no private address.",
    },
    "priority": {"type": "string", "enum": ["normal", "low"], "default": "normal"},
    "no_cache": {
        "type": "boolean",
        "default": False,
        "description": "`true`: make every model anew, even where the same one exists already.",
    },
    "remove_background": {
        "type": "string",
        "default": "false",
        "description": f"`true` (which is `{DEFAULT_REMOVER}`), or the endpoint that removes the background "
        "of each picture before its model is made: one paid request for each view, priced by the quote. "
        "Equal pictures are cut out once.",
    },
    "crop": {
        "type": "boolean",
        "default": False,
        "description": "`true`: cut each picture to its object, free of charge.",
    },
    "pad_square": {
        "type": "boolean",
        "default": False,
        "description": "`true`: pad each picture to a square, free of charge.",
    },
    "confirm_prepared": {
        "type": "boolean",
        "default": False,
        "description": "`true`: each image waits with its prepared pictures (`waiting_for: confirmation`) "
        "until it is confirmed, for 24 hours at most.",
    },
    "on_invalid": {
        "type": "string",
        "enum": ["reject", "skip"],
        "default": "reject",
        "description": "`reject`: one bad file refuses the batch, naming all bad ones. `skip`: the good ones "
        "run, and `rejected` of the job names the others.",
    },
    "metadata": {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": METADATA_SCHEMA,
        "description": "The caller's own data on the job, a flat JSON object of at most 4 KiB, such as "
        '`{"order": 1001}`. Documents, events, webhooks and manifests show it, and `GET /api/v1/jobs` finds '
        "jobs by it. It changes nothing of what is made.",
    },
    "manifest": {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": MANIFEST_SCHEMA,
        "description": "What the client says of its files, each by its index among all files of the form. "
        '`{"files": [{"part": 0, "metadata": {"sku": "CHAIR-7"}}]}` is the metadata of a picture, '
        '`{"objects": [{"name": "chair", "views": [{"part": 0, "side": "front"}, {"part": 1}]}]}` makes one '
        "object of two `files`. An entry of `objects` without `views` has metadata for the object that has "
        "this name by its parts. With more than `I2M_MAX_FILES` parts named `files`, `manifest` comes before "
        "them.",
    },
}
BATCH_SCHEMA: Final[Schema] = {
    "title": "BatchForm",
    "type": "object",
    "additionalProperties": False,
    "patternProperties": {
        rf"^objects\[{_NAME}\]$": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_VIEWS,
            "items": _VIEW,
            "description": "Views of the object of this name that show no named side, in the form's order.",
        },
        rf"^objects\[{_NAME}\]\[({'|'.join(SIDES)})\]$": {
            **_VIEW,
            "description": "The view of one side of the object of this name.",
        },
    },
    "properties": {
        "files": {
            "type": "array",
            "minItems": 1,
            "maxItems": 200,
            "items": _VIEW,
            "description": "The pictures: PNG, JPEG, WebP, HEIC, AVIF, GIF, TIFF or BMP by content. "
            "Each becomes a model, unless "
            "`manifest` makes it a view of an object. Their number, size and pixels are limited by "
            "`I2M_MAX_FILES` (of objects, and eight times as many pictures), `I2M_MAX_FILE_BYTES` and "
            "`I2M_MAX_PIXELS`, and the whole form by `I2M_MAX_BODY`.",
        },
        **TEXTS,
        MODEL: {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_MODELS,
            "default": [DEFAULT_MODEL],
            "items": {"type": "string"},
            "description": "The endpoint that makes the models: one of `GET /api/v1/models`. Several parts: "
            "one job for each of them.",
        },
    },
}

BATCH_FORM: Final = Body(
    description="The pictures, and optional fields. A part `files` is a picture that becomes a model. Parts "
    "`objects[chair][front]`, `objects[chair][back]` or `objects[chair]` are views of one object, which "
    "become one model. There must be one file at least. Any other part is refused. The JSON of "
    "`POST /api/v1/jobs` is taken too.",
    media_type="multipart/form-data",
    schema=BATCH_SCHEMA,
    encoding={
        "files": {"contentType": "image/png, image/jpeg, image/webp"},
        MODEL: {"style": "form", "explode": True},  # else openapi-generator sends one part, with commas
    },
    examples={},
)

_FORM_PROBLEMS: Final = (
    errors.UploadTooSlow,
    errors.BodyTooLarge,
    errors.UnsupportedMediaType,
    errors.InvalidMultipart,
    errors.NoFiles,
    errors.TooManyFiles,
    errors.UnknownModel,
    errors.Forbidden,
    errors.InvalidParameter,
)
FILE_PROBLEMS: Final = (
    errors.FileTooLarge,
    errors.NotAnImage,
    errors.ImageTruncated,
    errors.ImageTooLarge,
)
UPLOAD_PROBLEMS: Final = (
    errors.BudgetExceeded,
    errors.PriceUnknown,
    errors.QueueFull,
    errors.NotFound,
    errors.IdempotencyConflict,
    errors.IdempotencyInProgress,
    *_FORM_PROBLEMS,
)
IDEMPOTENCY_KEY: Final = Parameter(
    name="Idempotency-Key",
    where="header",
    description="1 to 255 visible ASCII characters. The same request with the same key gives the first "
    "answer again, for 24 hours; only a 202 is kept.",
    example="2f1c5c1e-chairs",
    schema={"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]{1,255}$"},
)
REPLAYED: Final = Header(
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
    warnings=(PictureWarning(SEVERAL_OBJECTS.code, "chair.jpg", SEVERAL_OBJECTS.message),),
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
    price_source="table",
    images=(_GOOD, _BAD),
)

_COMPARED: Final = compared(
    [_QUOTE, replace(_QUOTE, model="fal-ai/trellis", cost_usd_each=0.02, total_cost_usd=0.02)], None
)

ACCEPTED: Final = Answer(
    status=202,
    description="The job, with one image for each good picture or object, or for each of its variants. For "
    "several models: a job for each, of one `comparison_id`.",
    shape=JobDocument,
    example=QUEUED_JOB,
    otherwise=QUEUED_COMPARISON,
    headers=(LOCATION, REPLAYED, APPLIED),
)
ACCEPTANCE_PROBLEMS: Final = (*UPLOAD_PROBLEMS, *FILE_PROBLEMS, errors.ImageUnreadable, errors.DiskFull)

UPLOAD_OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/api/v1/upload/batch",
        tag="Batches",
        id="uploadBatch",
        summary="Upload pictures as one job",
        description="A batch that got 202 is stored and will run. A refused batch leaves nothing behind, "
        "also where it is for several models: it is accepted for all of them, or for none; "
        "where files are to blame, `errors` of the answer names each. 404 is for an `Idempotency-Key` "
        "whose job has been deleted since.",
        parameters=(IDEMPOTENCY_KEY, PREFER),
        body=BATCH_FORM,
        answers=(ACCEPTED,),
        problems=ACCEPTANCE_PROBLEMS,
        counted=True,
    ),
    Operation(
        method="POST",
        path="/api/v1/quote",
        tag="Batches",
        id="quoteBatch",
        summary="Ask what a batch would cost and what is wrong with it",
        description="Takes the same form as the upload, keeps nothing and runs nothing. An image's "
        "`warnings` say why it will hardly become a good model. They refuse nothing, and while the service "
        "is busy some are missing. It takes the JSON of `POST /api/v1/jobs` too, and fetches nothing: of an "
        "address it says what can be said without its picture.",
        body=BATCH_FORM,
        answers=(
            Answer(
                status=200,
                description="A verdict on each file; for several models one of each, and the total.",
                shape=Quote,
                example=_QUOTE,
                otherwise=_COMPARED,
            ),
        ),
        problems=_FORM_PROBLEMS,
        counted=True,
    ),
)
