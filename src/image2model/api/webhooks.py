"""`/jobs/{job_id}/webhooks`: the delivery log, and a replay. Who calls it: the router."""

from starlette.requests import Request
from starlette.responses import Response

from image2model.api.access_state import AccessState, state_of
from image2model.api.answers import json_answer
from image2model.service import webhooks


async def listing(request: Request) -> Response:
    """200: every delivery with its attempts, the newest first."""
    state = state_of(request, AccessState)
    principal = await state.authenticate(request.scope)
    return json_answer(await webhooks.listing(state.redis, principal.owner, request.path_params["job_id"]))


async def replay(request: Request) -> Response:
    """202: it is delivered again, under the same id."""
    state = state_of(request, AccessState)
    principal = await state.authenticate(request.scope)
    job_id, delivery_id = request.path_params["job_id"], request.path_params["delivery_id"]
    return json_answer(await webhooks.replay(state.redis, principal.owner, job_id, delivery_id), 202)
