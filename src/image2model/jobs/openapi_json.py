"""The reference of an upload as JSON: its body, and the operation that takes it."""

from collections.abc import Mapping
from typing import Final

from image2model.domain import SIDES
from image2model.fal.endpoints import DEFAULT_MODEL
from image2model.http.reference import PREFER, Body, Operation, Schema
from image2model.http.upload import MAX_VIEWS
from image2model.http.upload.reader import MAX_MODELS
from image2model.jobs.fetches import MOST_ADDRESS
from image2model.jobs.json_upload import OPTIONS
from image2model.jobs.openapi_uploads import (
    ACCEPTANCE_PROBLEMS,
    ACCEPTED,
    BATCH_SCHEMA,
    IDEMPOTENCY_KEY,
    METADATA_SCHEMA,
    TEXTS,
)

_PICTURE: Final[dict[str, Schema]] = {
    "url": {
        "type": "string",
        "format": "uri",
        "maxLength": MOST_ADDRESS,
        "description": "Where the picture is: http or https, on the public internet, without a login. The "
        "service fetches it after its answer. It may be signed, and is shown nowhere.",
    },
    "data": {
        "type": "string",
        "contentEncoding": "base64",
        "description": "The picture in base64 or base64url, alone or as a `data:` URL.",
    },
    "filename": {
        "type": "string",
        "description": "Its name. Otherwise the last segment of the address, without what stands behind `?`.",
    },
}
# Not as `oneOf`: generators make unusable types of that.
_EITHER: Final = "With `url` or `data`, not both."
_IMAGE: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "description": _EITHER,
    "properties": {**_PICTURE, "metadata": METADATA_SCHEMA},
}
_VIEW: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "description": _EITHER,
    "properties": {**_PICTURE, "side": {"type": "string", "enum": list(SIDES)}},
}
_OBJECT: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["views"],
    "properties": {
        "name": {"type": "string", "pattern": r"^[^\[\]]{1,80}$"},
        "views": {"type": "array", "minItems": 1, "maxItems": MAX_VIEWS, "items": _VIEW},
        "metadata": METADATA_SCHEMA,
    },
}
_TYPES: Final[dict[str, Schema]] = {
    "params": {"type": "object"},
    "params_strict": {"type": "boolean", "default": True},
    "remove_background": {},
    "metadata": METADATA_SCHEMA,
}
_FLAG: Final[Schema] = {"type": "boolean", "default": False}
_FLAGS: Final = ("no_cache", "crop", "pad_square", "confirm_prepared")
_FORM_ONLY: Final = ("type", "enum", "default", "contentMediaType", "contentSchema")


def _option(name: str) -> object:
    """The field of the form in JSON's own type."""
    text = TEXTS[name]
    own = _FLAG if name in _FLAGS else _TYPES.get(name)
    if own is None or not isinstance(text, Mapping):
        return text
    return {**{key: value for key, value in text.items() if key not in _FORM_ONLY}, **own}


JSON_SCHEMA: Final[Schema] = {
    "title": "JobRequest",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "images": {
            "type": "array",
            "minItems": 1,
            "maxItems": 200,
            "items": _IMAGE,
            "description": "Pictures that become a model each.",
        },
        "objects": {
            "type": "array",
            "minItems": 1,
            "maxItems": 200,
            "items": _OBJECT,
            "description": "Pictures of one thing, its `views`, which become one model.",
        },
        "model": {
            # Untyped: generators make unusable types of a text or a list.
            "description": "The endpoint that makes the models, as text, or a list of up to "
            f"{MAX_MODELS}: one job for each of them. Otherwise `{DEFAULT_MODEL}`.",
        },
        **{name: _option(name) for name in OPTIONS},
    },
}
_EXAMPLES: Final = {
    "addresses": {
        "images": [
            {"url": "https://pictures.example.com/chair.png"},
            {"url": "https://pictures.example.com/lamp", "filename": "lamp.jpg", "metadata": {"sku": "L-1"}},
        ],
        "max_cost_usd": 1,
    },
    "object": {
        "model": "fal-ai/hunyuan3d-v3/image-to-3d",
        "objects": [
            {
                "name": "chair",
                "views": [
                    {"url": "https://pictures.example.com/front.png", "side": "front"},
                    {"url": "https://pictures.example.com/back.png", "side": "back"},
                ],
            }
        ],
    },
}

JSON_OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/api/v1/jobs",
        tag="Batches",
        id="createJob",
        summary="Send pictures as addresses or in base64",
        description="The same as `POST /api/v1/upload/batch`, which takes this body too; a form is taken "
        "here as well. A body has at most 64 MiB.\n\n"
        "A picture in `data` is checked before the answer, as a file of a form is. One with a `url` is "
        "fetched by a worker after it: until then its image is `queued` with `waiting_for: fetch`, and its "
        "`size`, `sha256`, `width` and `height` are null. An address is called as it is written, follows at "
        "most five redirects, and must answer within 60 seconds with a file of at most "
        "`I2M_MAX_FILE_BYTES`. A server that fails is asked again for about a minute. Then, and where there "
        "is no such picture, the image fails with `image_unreadable`, and nothing is paid for it. The key of "
        "a request stands for its addresses, whatever they lead to.",
        parameters=(IDEMPOTENCY_KEY, PREFER),
        body=Body(
            description="The pictures, and the options of the form in JSON's own types. Any other member is "
            "refused.",
            schema=JSON_SCHEMA,
            form=BATCH_SCHEMA,
            examples=_EXAMPLES,
        ),
        answers=(ACCEPTED,),
        problems=ACCEPTANCE_PROBLEMS,
        counted=True,
    ),
)
