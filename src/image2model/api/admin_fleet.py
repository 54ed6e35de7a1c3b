"""`/admin/workers` and `/admin/jobs`: the fleet, and everybody's jobs.

Who calls it: the router, for the role `admin`.
"""

from starlette.requests import Request
from starlette.responses import Response

from image2model.api.access_state import AccessState, state_of
from image2model.api.answers import json_answer
from image2model.api.principal import require_admin
from image2model.service import job_list, workers


async def list_workers(request: Request) -> Response:
    """200: the workers that live."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    return json_answer(await workers.listing(state.redis))


async def list_jobs(request: Request) -> Response:
    """200: one page of everybody's jobs, newest first."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    asked = job_list.question(*(request.query_params.get(name) for name in ("status", "limit", "cursor")))
    return json_answer(await job_list.page_of_all(state.redis, asked))
