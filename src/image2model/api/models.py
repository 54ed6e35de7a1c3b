"""`GET /models`: what is on offer. Who calls it: the router."""

from starlette.requests import Request
from starlette.responses import Response

from image2model.api.access_state import state_of
from image2model.api.answers import json_answer
from image2model.api.jobs_state import JobsState
from image2model.service import models


async def listing(request: Request) -> Response:
    """Every model with its parameters and prices."""
    state = state_of(request, JobsState)
    await state.authenticate(request.scope)
    live = await state.fal_catalogue.models()
    return json_answer(models.listing(live), headers={"Cache-Control": "private, max-age=60"})
