"""The multipart form of a batch, for the upload and the quote. Who calls it: the files of operations."""

from typing import Final

from image2model.api.reference.operation import Body, Schema
from image2model.fal.endpoints import DEFAULT_MODEL, ENDPOINTS

_TEXTS: Final[Schema] = {
    "model": {
        "type": "string",
        "enum": list(ENDPOINTS),
        "default": DEFAULT_MODEL,
        "description": "The endpoint that makes the models.",
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
        "description": "A JSON object of the model's parameters, by its schema in `GET /api/v1/models`.",
    },
    "webhook_url": {
        "type": "string",
        "format": "uri",
        "description": "Called with the job's document when the job has ended: https, no private address.",
    },
    "priority": {"type": "string", "enum": ["normal", "low"], "default": "normal"},
    "no_cache": {
        "type": "string",
        "enum": ["false", "true"],
        "default": "false",
        "description": "`true`: make every model anew, even where the same one is there already.",
    },
    "on_invalid": {
        "type": "string",
        "enum": ["reject", "skip"],
        "default": "reject",
        "description": "`reject`: one bad file refuses the batch, naming all bad ones. `skip`: the good ones "
        "run, and `rejected` of the job names the others.",
    },
}
_SCHEMA: Final[Schema] = {
    "type": "object",
    "required": ["files"],
    "additionalProperties": False,
    "properties": {
        "files": {
            "type": "array",
            "minItems": 1,
            "maxItems": 25,
            "items": {"type": "string", "format": "binary"},
            "description": "The pictures: PNG, JPEG or WebP by content. Their number, size and pixels are "
            "limited by `I2M_MAX_FILES`, `I2M_MAX_FILE_BYTES` and `I2M_MAX_PIXELS`.",
        },
        **_TEXTS,
    },
}

BATCH_FORM: Final = Body(
    description="The pictures, each as a part named `files`, and optional fields. Any other part is refused.",
    media_type="multipart/form-data",
    schema=_SCHEMA,
    encoding={"files": {"contentType": "image/png, image/jpeg, image/webp"}},
    examples={},
)
