"""HTTP handlers of `/admin` for the role `admin`: dead letters, statistics, workers, jobs, queue pauses."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from image2model.access.principal import require_admin
from image2model.access.state import AccessState, state_of
from image2model.errors import NotFound
from image2model.http.bodies import json_response, read_json
from image2model.http.documents import job_document
from image2model.jobs import listing
from image2model.operations import dead_letters, stats
from image2model.operations.dead_letters import DeadFilter, ReplayRequest
from image2model.queue import circuits, fleet
from image2model.queue.window import FalConcurrency
from image2model.store.keys import Queue

_EXAMPLE: Final = '{"code": "generation_failed", "model": "…", "limit": 100}'
_body: Final = msgspec.json.Decoder(ReplayRequest)


async def list_dead(request: Request) -> Response:
    """200: one page of dead letters, newest first."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    query = request.query_params
    filters = DeadFilter(
        code=query.get("code", ""), model=query.get("model", ""), owner=query.get("owner", "")
    )
    return json_response(
        await dead_letters.page(state.redis, filters, query.get("limit"), query.get("cursor"))
    )


async def replay_dead(request: Request) -> Response:
    """202 with the job: one image runs again."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    return json_response(
        job_document(await dead_letters.replay(state.redis, request.path_params["image_id"])), 202
    )


async def replay_many_dead(request: Request) -> Response:
    """202 with the number of images that run again."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    return json_response(
        await dead_letters.replay_many(state.redis, await read_json(request, _body, _EXAMPLE)), 202
    )


async def show_stats(request: Request) -> Response:
    """200 with the statistics; `?days=` limits the spending."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    days = stats.days_of(request.query_params.get("days"))
    settings = state.settings
    concurrency = FalConcurrency.of(settings)
    return json_response(await stats.read(state.redis, days, concurrency, fal_privacy=settings.fal_privacy))


async def list_workers(request: Request) -> Response:
    """200: the workers with a recent heartbeat."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    return json_response(await fleet.list_workers(state.redis))


async def list_jobs(request: Request) -> Response:
    """200: one page of the jobs of all owners, newest first."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    query = listing.read_query(request.query_params)
    return json_response(await listing.page_of_all(state.redis, query))


class QueueDocument(msgspec.Struct, frozen=True):
    """A queue after the call. `changed` is false if it was in this state already."""

    queue: str
    paused: bool
    changed: bool


async def pause_queue(request: Request) -> Response:
    """200: waiting tasks keep waiting, running tasks go on. Other reasons of a pause are not changed."""
    return await _set_paused(request, paused=True)


async def resume_queue(request: Request) -> Response:
    """200: an operator's pause ends. Pauses because of the account or FAL end by themselves."""
    return await _set_paused(request, paused=False)


async def _set_paused(request: Request, *, paused: bool) -> Response:
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    name = request.path_params["name"]
    if name not in set(Queue):
        raise NotFound(f"There is no such queue. The queues are {', '.join(Queue)}.")
    change = circuits.pause_queue if paused else circuits.resume_queue
    return json_response(QueueDocument(name, paused, await change(state.redis, Queue(name))))
