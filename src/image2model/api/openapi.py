"""`GET /openapi.json`: the reference. Who calls it: the router; `/docs` shows it to people.

It is made at the first request, in a thread, and kept as bytes: a process that nobody asks for it starts no
slower.
"""

import asyncio
import hashlib
from functools import cache
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from image2model.api.access_state import AccessState, state_of

_CACHE: Final = {"Cache-Control": "private, no-cache"}


async def document(request: Request) -> Response:
    """200 with the OpenAPI document, or 304."""
    await state_of(request, AccessState).authenticate(request.scope)
    content, etag = await asyncio.to_thread(_document)
    headers = {**_CACHE, "ETag": etag}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)


@cache
def _document() -> tuple[bytes, str]:
    """The document and its strong validator."""
    from image2model.api.reference.document import openapi

    content = msgspec.json.encode(openapi())
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'
