"""Answers as JSON from Structs. Who calls it: the routes."""

from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.responses import Response

ANSWER_HEADERS: Final = "image2model.answer_headers"
"""Where a scope holds raw headers that its answer must carry, whatever it will be."""


def json_answer(
    document: msgspec.Struct, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """The document as JSON; not cached unless `headers` say otherwise."""
    return Response(
        msgspec.json.encode(document),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
