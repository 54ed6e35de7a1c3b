"""`GET /openapi.json` and `GET /docs`: the reference for programs and for people. Who calls it: the router.

Both are made at the first request, in a thread, and kept as bytes: a process that nobody asks for them
starts no slower.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from image2model.api.state import state_of

_CACHE: Final = {"Cache-Control": "private, no-cache"}


class Page(msgspec.Struct, frozen=True):
    """Bytes that are sent as they are."""

    content: bytes
    media_type: str
    headers: Mapping[str, str]

    @property
    def etag(self) -> str:
        """Their strong validator."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'


async def document(request: Request) -> Response:
    """200 with the OpenAPI document, or 304."""
    return await _answer(request, _document)


async def page(request: Request) -> Response:
    """200 with the page, or 304."""
    return await _answer(request, _page)


@cache
def _document() -> Page:
    from image2model.api.reference.document import openapi

    return Page(msgspec.json.encode(openapi()), "application/json", {})


@cache
def _page() -> Page:
    from image2model.api.reference import page
    from image2model.api.reference.document import openapi

    policy = {"Content-Security-Policy": page.POLICY}
    return Page(page.render(openapi()).encode(), "text/html; charset=utf-8", policy)


async def _answer(request: Request, make: Callable[[], Page]) -> Response:
    await state_of(request).authenticate(request.scope)
    made = await asyncio.to_thread(make)
    headers = {**_CACHE, "ETag": made.etag, **made.headers}
    if made.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(made.content, media_type=made.media_type, headers=headers)
