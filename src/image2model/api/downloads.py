"""`/download/…`: the list of a job's files, and the redirect to one. Who calls it: the router."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from image2model.api.access_state import state_of
from image2model.api.answers import json_answer
from image2model.api.jobs_state import JobsState
from image2model.service import downloads, ownership

_CACHE: Final = {"Cache-Control": "private, no-store"}


async def listing(request: Request) -> Response:
    """One entry for each image, with its files."""
    state = state_of(request, JobsState)
    principal = await state.authenticate(request.scope)
    job = await ownership.snapshot(state.redis, principal.owner, request.path_params["job_id"])
    return json_answer(downloads.listing(job))


async def download(request: Request) -> Response:
    """307 to the file: the storage's own signed URL, ours, or under `redirect` FAL's."""
    state = state_of(request, JobsState)
    principal = await state.authenticate(request.scope)
    job = await ownership.snapshot(state.redis, principal.owner, request.path_params["job_id"])
    kind = request.query_params.get("file", "model")
    found = downloads.locate(job, request.path_params["image_id"], kind, state.hosts)
    if not isinstance(found, str):
        found = await downloads.link(state.storage, await state.signing.get(), found)
    return Response(status_code=307, headers={"Location": found, **_CACHE})
