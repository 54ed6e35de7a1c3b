"""`/admin/stats`: spending and the fleet's numbers. Who calls it: the router, for the role `admin`."""

from starlette.requests import Request
from starlette.responses import Response

from image2model.api.access_state import AccessState, state_of
from image2model.api.answers import json_answer
from image2model.api.principal import require_admin
from image2model.service import stats


async def show(request: Request) -> Response:
    """200; `?days=` says how far back the spending goes."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    return json_answer(await stats.read(state.redis, stats.days_of(request.query_params.get("days"))))
