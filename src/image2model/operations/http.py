"""`/admin/dead`: the dead letters, and their replay. Who calls it: the router, for the role `admin`."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from image2model.access.principal import require_admin
from image2model.access.state import AccessState, state_of
from image2model.errors import NotFound
from image2model.http.bodies import json_response, read_json
from image2model.http.documents import job_document
from image2model.jobs import listing as job_list
from image2model.operations import dead_letters, stats
from image2model.operations.dead_letters import DeadFilter, ReplayRequest
from image2model.queue import circuits, fleet
from image2model.store.keys import Queue

_EXAMPLE: Final = '{"code": "generation_failed", "model": "…", "limit": 100}'
_body: Final = msgspec.json.Decoder(ReplayRequest)


async def list_dead(request: Request) -> Response:
    """200: one page, newest first."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    query = request.query_params
    wanted = DeadFilter(
        code=query.get("code", ""), model=query.get("model", ""), owner=query.get("owner", "")
    )
    return json_response(
        await dead_letters.page(state.redis, wanted, query.get("limit"), query.get("cursor"))
    )


async def replay_dead(request: Request) -> Response:
    """202 with the job: one image runs again."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    return json_response(
        job_document(await dead_letters.replay(state.redis, request.path_params["image_id"])), 202
    )


async def replay_many_dead(request: Request) -> Response:
    """202 with how many run again."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    return json_response(
        await dead_letters.replay_many(state.redis, await read_json(request, _body, _EXAMPLE)), 202
    )


async def show_stats(request: Request) -> Response:
    """200; `?days=` says how far back the spending goes."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    return json_response(await stats.read(state.redis, stats.days_of(request.query_params.get("days"))))


async def list_workers(request: Request) -> Response:
    """200: the workers that live."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    return json_response(await fleet.listing(state.redis))


async def list_jobs(request: Request) -> Response:
    """200: one page of everybody's jobs, newest first."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    query = request.query_params
    filters = job_list.read_query(query.get("status"), query.get("limit"), query.get("cursor"))
    return json_response(await job_list.page_of_all(state.redis, filters))


class QueueDocument(msgspec.Struct, frozen=True):
    """A queue after the call. `changed`: false where it was so already."""

    queue: str
    paused: bool
    changed: bool


async def pause_queue(request: Request) -> Response:
    """What waits in the queue waits on; what runs goes on. Other reasons to pause are not touched."""
    return await _set(request, paused=True)


async def resume_queue(request: Request) -> Response:
    """The end of an operator's pause; the account's and FAL's end by themselves."""
    return await _set(request, paused=False)


async def _set(request: Request, *, paused: bool) -> Response:
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    name = request.path_params["name"]
    if name not in set(Queue):
        raise NotFound(f"There is no such queue. The queues are {', '.join(Queue)}.")
    change = circuits.pause_queue if paused else circuits.resume_queue
    return json_response(QueueDocument(name, paused, await change(state.redis, Queue(name))))
