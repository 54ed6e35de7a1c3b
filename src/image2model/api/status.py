"""`GET /status/{job_id}`: one round trip for the version, and bytes that were made once for it.

Who calls it: the router. Plain ASGI, because this is the most asked route of all.
"""

from functools import partial
from typing import Final

import msgspec
from redis.asyncio import Redis
from starlette.requests import Request
from starlette.responses import Response

from image2model.api.state import state_of
from image2model.service import ownership
from image2model.service.documents import job_document
from image2model.store import jobs

_CACHE: Final = "private, no-cache"


async def status(request: Request) -> Response:
    """The job's document with a strong `ETag`; 304 where the client has it already."""
    state = state_of(request)
    principal = await state.authenticate(request.scope)
    job_id: str = request.path_params["job_id"]
    access = await ownership.access(state.redis, principal.owner, job_id)
    asked = request.headers.get("if-none-match")
    if asked is not None and _has(asked, etag(access.version)):
        return Response(status_code=304, headers={"ETag": etag(access.version), "Cache-Control": _CACHE})
    version, body = await state.documents.get(job_id, access.version, partial(_build, state.redis, job_id))
    headers = {"ETag": etag(version), "Cache-Control": _CACHE}
    return Response(body, media_type="application/json", headers=headers)


def etag(version: int) -> str:
    """The strong validator of a job's document in this version."""
    return f'"{version}"'


async def _build(redis: Redis, job_id: str) -> tuple[int, bytes]:
    snapshot = await jobs.read(redis, job_id)
    return snapshot.version, msgspec.json.encode(job_document(snapshot))


def _has(asked: str, tag: str) -> bool:
    """Whether an If-None-Match holds the tag: RFC 9110, 13.1.2, by weak comparison."""
    if asked.strip() == "*":
        return True
    return any(one.strip().removeprefix("W/") == tag for one in asked.split(","))
