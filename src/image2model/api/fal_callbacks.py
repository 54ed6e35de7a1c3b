"""`POST /webhooks/fal`: FAL's callbacks, believed only by their signature.

Who calls it: FAL, at the address that the worker gave it with the submit. It is the one route that
answers without a key of ours; the signature and the attempt's secret token stand in its place.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import Response

from image2model.api.fal_keys import FalCallbacks
from image2model.api.state import state_of
from image2model.errors import (
    BodyTooLarge,
    FalError,
    NotFound,
    StoreUnavailable,
    Unauthenticated,
    UploadTooSlow,
)
from image2model.service import fal_word

if TYPE_CHECKING:
    from image2model.fal.wire import WebhookBody

_MOST_BYTES: Final = 8 << 20
_SMALL_BYTES: Final = 64 << 10
"""A body up to this size is read at once; larger ones, which nobody has vouched for yet, a few at a time."""
_SECONDS: Final = 10.0


async def fal_webhook(request: Request) -> Response:
    """200 once FAL's word is stored; FAL repeats it for hours otherwise."""
    state = state_of(request)
    if state.settings.public_url is None:
        raise NotFound("FAL's webhooks are off: I2M_PUBLIC_URL is not set.")
    async with AsyncExitStack() as place:
        word = await _verified(request, state.fal_callbacks, place)
    image_id, attempt = (request.query_params.get(name, "")[:128] for name in ("image", "attempt"))
    await fal_word.note_request(state.redis, state.hosts, image_id, attempt, word.request_id)
    return Response(status_code=200)


async def _verified(request: Request, callbacks: FalCallbacks, place: AsyncExitStack) -> "WebhookBody":
    """What FAL says. Raises Unauthenticated where it is not FAL, StoreUnavailable without FAL's keys."""
    from image2model.fal.webhook import WebhookRejected

    body = await _body(request, callbacks.large_bodies, place)
    try:
        return await callbacks.keys.verified(request.headers, body, time.time())
    except WebhookRejected as rejected:
        raise Unauthenticated(f"This is no webhook of FAL's: {rejected}") from rejected
    except FalError as error:
        raise StoreUnavailable.after("FAL's public keys cannot be fetched now.", 30) from error


async def _body(request: Request, large: asyncio.Semaphore, place: AsyncExitStack) -> bytes:
    """All of it. Raises BodyTooLarge, and UploadTooSlow for a sender that takes its time."""
    try:
        async with asyncio.timeout(_SECONDS):
            return await _read(request, large, place)
    except TimeoutError:
        raise UploadTooSlow("FAL's webhooks come faster than that.") from None


async def _read(request: Request, large: asyncio.Semaphore, place: AsyncExitStack) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        if size <= _SMALL_BYTES < size + len(chunk):
            await place.enter_async_context(large)
        size += len(chunk)
        if size > _MOST_BYTES:
            raise BodyTooLarge("FAL's webhooks are smaller than that.")
        parts.append(chunk)
    return b"".join(parts)
