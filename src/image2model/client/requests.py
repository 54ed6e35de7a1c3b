"""Requests with a body that may hold pictures: an upload, a quote, a second step."""

import os
from collections.abc import Mapping
from typing import Any, Final, TypedDict

import msgspec

from image2model.client.form import field_text
from image2model.client.multipart import MultipartBody, Part, Picture
from image2model.client.transport import Call
from image2model.domain import MetadataValue

BASE: Final = "/api/v1"
_MIN_UPLOAD_SPEED: Final = 32 * 1024  # bytes a second: a slower try times out


class StepOptions(TypedDict, total=False):
    """The options of a second step; they are those of an upload of one picture."""

    params: Mapping[str, Any] | None
    face_limit: int | None
    params_strict: bool
    no_cache: bool
    max_cost_usd: float | None
    priority: str | None
    webhook_url: str | None
    metadata: Mapping[str, MetadataValue] | None


def multipart_call(path: str, body: MultipartBody, headers: Mapping[str, str] | None = None) -> Call:
    """A POST of a form. It may be repeated: it has a key, or buys nothing."""
    return Call(
        method="POST",
        path=BASE + path,
        headers={
            "Content-Type": body.content_type,
            "Content-Length": str(body.length),
            **(headers or {}),
        },
        body=body.chunks,
        safe=True,
        deadline=60 + body.length / _MIN_UPLOAD_SPEED,
    )


def second_step(
    path: str,
    fields: Mapping[str, object],
    picture: str | os.PathLike[str] | Picture | None,
    headers: Mapping[str, str],
) -> Call:
    """A second step: JSON, or a form where a picture comes with it. Raises FileNotFoundError and the like."""
    if picture is not None:
        file = picture if isinstance(picture, Picture) else Picture.from_path(picture)
        texts = [(name, text) for name, value in fields.items() if (text := field_text(name, value))]
        return multipart_call(path, MultipartBody(texts, [Part("image", file)]), headers)
    given = {name: value for name, value in fields.items() if value is not None}
    return Call(
        method="POST",
        path=BASE + path,
        headers={"Content-Type": "application/json", **headers},
        body=msgspec.json.encode(given),
        safe=True,
    )
