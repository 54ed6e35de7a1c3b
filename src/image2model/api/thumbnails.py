"""`GET /images/{job_id}/{image_id}/thumbnail`. Who calls it: the router.

A picture never changes, so its hash is the validator, and a browser that has it is answered without a look
into the storage.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from image2model.api.access_state import state_of
from image2model.api.jobs_state import JobsState
from image2model.errors import NotFound
from image2model.media.thumbnail import SIZE
from image2model.service import ownership
from image2model.service.thumbnails import MEDIA_TYPE
from image2model.store import pictures

_CACHE: Final = "private, max-age=604800, immutable"


async def show(request: Request) -> Response:
    """200 with a WebP of at most 256 pixels, or 304."""
    state = state_of(request, JobsState)
    principal = await state.authenticate(request.scope)
    job_id, image_id = request.path_params["job_id"], request.path_params["image_id"]
    await ownership.access(state.redis, principal.owner, job_id)
    picture = await pictures.source_of(state.redis, job_id, image_id)
    if picture is None:
        raise NotFound("This job has no such image.")
    etag = f'"{picture.sha256[:32]}-{SIZE}"'
    headers = {"ETag": etag, "Cache-Control": _CACHE}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    data = await state.thumbnails.get(picture)
    return Response(data, media_type=MEDIA_TYPE, headers=headers)
