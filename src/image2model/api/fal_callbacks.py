"""`POST /webhooks/fal`: FAL's callbacks, believed only by their signature.

Who calls it: FAL, at the address that the worker gave it with the submit. It is the one route that
answers without a key of ours; the signature and the attempt's secret token stand in its place.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import Response

from image2model.api.access_state import AccessState, state_of
from image2model.api.fal_keys import FalCallbacks
from image2model.api.small_body import declared_length, read_small
from image2model.errors import FalError, NotFound, StoreUnavailable, Unauthenticated
from image2model.fal.hosts import FalHosts
from image2model.service import fal_word

if TYPE_CHECKING:
    from image2model.fal.wire import WebhookBody

_MOST_BYTES: Final = 8 << 20
_SMALL_BYTES: Final = 64 << 10
"""A body up to this size is read at once; larger ones, which nobody has vouched for yet, a few at a time."""
_DEADLINE_S: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class CallbackState(AccessState):
    """Shared by all requests of one process."""

    hosts: FalHosts
    fal_callbacks: FalCallbacks


async def fal_webhook(request: Request) -> Response:
    """200 once FAL's word is stored; FAL repeats it for hours otherwise."""
    state = state_of(request, CallbackState)
    if state.settings.public_url is None:
        raise NotFound("FAL's webhooks are off: I2M_PUBLIC_URL is not set.")
    async with _place(request, state.fal_callbacks.large_bodies):
        word = await _verified(request, state.fal_callbacks)
    image_id, attempt = (request.query_params.get(name, "")[:128] for name in ("image", "attempt"))
    await fal_word.note_request(state.redis, state.hosts, image_id, attempt, word)
    return Response(status_code=200)


@asynccontextmanager
async def _place(request: Request, large: asyncio.Semaphore) -> AsyncIterator[None]:
    """Until the body is verified: one of the few places, if it is large or does not say."""
    if declared_length(request.headers, _MOST_BYTES) <= _SMALL_BYTES:
        yield
        return
    try:
        async with asyncio.timeout(_DEADLINE_S):
            await large.acquire()
    except TimeoutError:
        raise StoreUnavailable.after("Too many large bodies at once.", 30) from None
    try:
        yield
    finally:
        large.release()


async def _verified(request: Request, callbacks: FalCallbacks) -> "WebhookBody":
    """What FAL says. Raises Unauthenticated where it is not FAL, StoreUnavailable without FAL's keys."""
    body = await read_small(request, _MOST_BYTES, deadline_s=_DEADLINE_S)
    from image2model.fal.webhook import WebhookRejected

    try:
        return await callbacks.keys.verified(request.headers, body, time.time())
    except WebhookRejected as rejected:
        raise Unauthenticated(f"This is no webhook of FAL's: {rejected}") from rejected
    except FalError as error:
        raise StoreUnavailable.after("FAL's public keys cannot be fetched now.", 30) from error
