"""`/admin/dead`: the dead letters, and their replay. Who calls it: the router, for the role `admin`."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from image2model.api.access_state import AccessState, state_of
from image2model.api.answers import json_answer
from image2model.api.json_body import read_json
from image2model.api.principal import require_admin
from image2model.service import dead
from image2model.service.dead import ReplayWish
from image2model.service.documents import job_document
from image2model.store.dead import DeadFilter

_EXAMPLE: Final = '{"code": "generation_failed", "model": "…", "limit": 100}'
_body: Final = msgspec.json.Decoder(ReplayWish)


async def listing(request: Request) -> Response:
    """200: one page, newest first."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    query = request.query_params
    wanted = DeadFilter(
        code=query.get("code", ""), model=query.get("model", ""), owner=query.get("owner", "")
    )
    return json_answer(await dead.page(state.redis, wanted, query.get("limit"), query.get("cursor")))


async def replay(request: Request) -> Response:
    """202 with the job: one image runs again."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    return json_answer(job_document(await dead.replay(state.redis, request.path_params["image_id"])), 202)


async def replay_many(request: Request) -> Response:
    """202 with how many run again."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    return json_answer(await dead.replay_many(state.redis, await read_json(request, _body, _EXAMPLE)), 202)
