"""`/admin/keys`: made, listed, revoked. Who calls it: the router, for callers with the role `admin`."""

import time
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from image2model.api.access_state import AccessState, state_of
from image2model.api.answers import json_answer
from image2model.api.json_body import read_json
from image2model.api.principal import require_admin
from image2model.service import keys
from image2model.service.keys import KeyWish

_EXAMPLE: Final = '{"name": "shop", "role": "user", "rate": "60/min", "budget": "25.00/month"}'
_body: Final = msgspec.json.Decoder(KeyWish)


async def listing(request: Request) -> Response:
    """200: all keys, without their texts, which nobody has."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    return json_answer(await keys.listing(state.redis, int(time.time() * 1000)))


async def create(request: Request) -> Response:
    """201: the key with its text, which is never shown again."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    return json_answer(await keys.create(state.redis, await read_json(request, _body, _EXAMPLE)), 201)


async def revoke(request: Request) -> Response:
    """204: from now on the key opens nothing."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    await keys.revoke(state.redis, request.path_params["key_id"])
    return Response(status_code=204)
