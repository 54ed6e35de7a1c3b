"""The reference of second steps."""

from typing import Final

from image2model import errors
from image2model.events.examples import DERIVED_JOB
from image2model.http.documents import JobDocument
from image2model.http.reference import (
    APPLIED,
    IMAGE_ID,
    JOB_ID,
    LOCATION,
    PREFER,
    Answer,
    Body,
    Operation,
    Schema,
)
from image2model.http.upload.step_form import STEP_FIELDS
from image2model.jobs.openapi_uploads import FILE_PROBLEMS, IDEMPOTENCY_KEY, REPLAYED, TEXTS
from image2model.jobs.step_request import DeriveBody

_FORM: Final[Schema] = {
    "title": "DeriveForm",
    "type": "object",
    "required": ["model"],
    "additionalProperties": False,
    "properties": {
        "image": {
            "type": "string",
            "format": "binary",
            "description": "A picture for the endpoint, in place of the parent's: "
            "PNG, JPEG, WebP, HEIC, AVIF, GIF, TIFF or BMP.",
        },
        "file": {
            "type": "string",
            "description": "The kind of the parent's file to start from, such as `model`. As a part with a "
            "file name it is the picture.",
        },
        **{name: schema for name, schema in TEXTS.items() if name in STEP_FIELDS},
        "model": {
            "type": "string",
            "description": "The endpoint: one with `takes_model` in `GET /api/v1/models`.",
        },
    },
}

DERIVE_OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/api/v1/jobs/{job_id}/images/{image_id}/derive",
        tag="Jobs",
        id="deriveImage",
        summary="Run a second step on a finished image",
        description="An endpoint that takes a 3D model (retexture, remesh, split into parts, rig) runs on "
        "this image's model. The answer is a new job of one image, with its own cost, events and files: it "
        "names its parent in `parent_job_id` and `parent_image_id`, and stays when the parent is deleted.\n\n"
        "Of the image's files the best one that the endpoint takes is sent; `file` names another. Where the "
        "endpoint takes a picture too, it gets the one of this request, else the image's first. An optional "
        "picture of the parent is left out where `params` have a prompt. "
        "409 `not_ready` is for an image without a result, 410 for one whose model is gone: under "
        "`I2M_RESULTS=redirect` FAL keeps it for a while only.",
        parameters=(JOB_ID, IMAGE_ID, IDEMPOTENCY_KEY, PREFER),
        body=Body(
            description="The endpoint and its parameters; as a form with a picture.",
            shape=DeriveBody,
            form=_FORM,
            examples={
                "retexture": DeriveBody(
                    model="fal-ai/meshy/v5/retexture", params={"text_style_prompt": "oak"}, max_cost_usd=0.5
                ),
                "fewer faces": DeriveBody(
                    model="fal-ai/hunyuan-3d/v3.1/smart-topology", params={"face_level": "low"}
                ),
            },
        ),
        answers=(
            Answer(
                status=202,
                description="The new job.",
                shape=JobDocument,
                example=DERIVED_JOB,
                headers=(LOCATION, REPLAYED, APPLIED),
            ),
        ),
        problems=(
            errors.BudgetExceeded,
            errors.PriceUnknown,
            errors.QueueFull,
            errors.NotFound,
            errors.Expired,
            errors.NotReady,
            errors.IdempotencyConflict,
            errors.IdempotencyInProgress,
            errors.UploadTooSlow,
            errors.BodyTooLarge,
            errors.UnsupportedMediaType,
            errors.InvalidMultipart,
            errors.UnknownModel,
            errors.Forbidden,
            errors.InvalidParameter,
            *FILE_PROBLEMS,
            errors.DiskFull,
        ),
        counted=True,
    ),
)
