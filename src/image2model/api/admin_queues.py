"""`POST /admin/queues/{name}/pause` and `/resume`: an operator's pause.

Who calls it: the router, for admins.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from image2model.api.access_state import AccessState, state_of
from image2model.api.answers import json_answer
from image2model.api.principal import require_admin
from image2model.errors import NotFound
from image2model.store import pause
from image2model.store.keys import Queue


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
    change = pause.pause if paused else pause.resume
    return json_answer(QueueDocument(name, paused, await change(state.redis, Queue(name))))
