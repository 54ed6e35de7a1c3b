"""The headers of a request that should carry a form: its boundary, or what is wrong with it. Pure."""

from collections.abc import Mapping
from typing import Final

from image2model.errors import InvalidMultipart, UnsupportedMediaType
from image2model.http.upload.names import parameters

_FORM: Final = "multipart/form-data"
_SEND: Final = f"Send the pictures as {_FORM}, in parts named `files`"
_EXAMPLE: Final = "as `curl -F files=@chair.jpg` does"
_JSON: Final = "their addresses as application/json"


def boundary_of(headers: Mapping[str, str], max_bytes: int) -> bytes:
    """The form's boundary. `headers` are looked up by lower-case name.

    Raises `UnsupportedMediaType`, `InvalidMultipart`.
    """
    content_type = headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != _FORM:
        raise UnsupportedMediaType(_advice(media_type))
    if (coding := headers.get("content-encoding", "identity").strip().lower()) not in {"", "identity"}:
        raise UnsupportedMediaType(
            f"The body is compressed ({coding[:40]}). Send it as it is: pictures hardly become smaller.",
            headers={"Accept-Encoding": "identity"},
        )
    boundary = dict(reversed([*parameters(content_type)])).get("boundary", "").encode("latin-1", "replace")
    if not boundary:
        raise InvalidMultipart(
            "The Content-Type header names no boundary. Do not set the header yourself: the library that "
            "writes the form knows the boundary."
        )
    if len(boundary) > max_bytes or b"\n" in boundary:
        raise InvalidMultipart("The Content-Type header names no usable boundary.")
    return boundary


def _advice(media_type: str) -> str:
    """What to do instead of sending this."""
    if not media_type:
        return f"The request has no Content-Type. {_SEND}, {_EXAMPLE}."
    if media_type == "application/x-www-form-urlencoded":
        return f'A form with files needs `enctype="{_FORM}"`. {_SEND}, {_EXAMPLE}, or {_JSON}.'
    if media_type.startswith("image/") or media_type == "application/octet-stream":
        return f"A picture is not taken as the whole body. {_SEND}, {_EXAMPLE}."
    return f"{_SEND}, {_EXAMPLE}, or {_JSON}. {media_type[:80]} is not taken here."
