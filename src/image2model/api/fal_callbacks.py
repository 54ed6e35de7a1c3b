"""`POST /webhooks/fal`: FAL's callbacks, believed only by their signature.

Who calls it: FAL, at the address that the worker gave it with the submit. It is the one route that
answers without a key of ours; the signature and the attempt's secret token stand in its place.
"""

import time
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from image2model.api.small_body import read_small
from image2model.api.state import state_of
from image2model.errors import FalError, NotFound, StoreUnavailable, Unauthenticated
from image2model.service import fal_word

_MOST_BYTES: Final = 8 << 20


async def fal_webhook(request: Request) -> Response:
    """200 once FAL's word is stored; FAL repeats it for hours otherwise."""
    state = state_of(request)
    if state.settings.public_url is None:
        raise NotFound("FAL's webhooks are off: I2M_PUBLIC_URL is not set.")
    body = await read_small(request, _MOST_BYTES)
    from image2model.fal.webhook import WebhookRejected

    try:
        word = await state.fal_callbacks.keys.verified(request.headers, body, time.time())
    except WebhookRejected as rejected:
        raise Unauthenticated(f"This is no webhook of FAL's: {rejected}") from rejected
    except FalError as error:
        raise StoreUnavailable.after("FAL's public keys cannot be fetched now.", 30) from error
    image_id, attempt = (request.query_params.get(name, "")[:128] for name in ("image", "attempt"))
    await fal_word.note_request(state.redis, state.hosts, image_id, attempt, word.request_id)
    return Response(status_code=200)
