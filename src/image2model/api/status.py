"""`GET /status/{job_id}`: one shared round trip for the version, and bytes that were made once for it.

Who calls it: the router. Plain ASGI without request and response objects, because this is the most asked
route of all.
"""

from functools import partial
from typing import Final, cast

import msgspec
from redis.asyncio import Redis
from starlette.types import Message, Receive, Scope, Send

from image2model.api.state import ApiState
from image2model.service.documents import job_document
from image2model.service.ownership import is_job_id, visible
from image2model.store import jobs

_CACHE: Final = (b"cache-control", b"private, no-cache")
_JSON: Final = (b"content-type", b"application/json")


class Status:
    """The job's document with a strong `ETag`; 304 where the client has it already."""

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer one request. Raises NotFound, Expired, and what authentication raises."""
        state = cast("ApiState", scope["state"]["api"])
        job_id: str = scope["path_params"]["job_id"]
        principal, head = await state.gate.with_job(scope, job_id if is_job_id(job_id) else "")
        head = visible(head, principal.owner)
        if _has(scope, etag(head.version)):
            await send(_start(304, head.version))
            await send({"type": "http.response.body"})
            return
        build = partial(_build, state.redis, job_id)
        version, body = await state.documents.get(job_id, head.version, build)
        await send(_start(200, version, _JSON, (b"content-length", b"%d" % len(body))))
        await send({"type": "http.response.body", "body": body})


def etag(version: int) -> bytes:
    """The strong validator of a job's document in this version."""
    return b'"%d"' % version


def _start(status: int, version: int, *headers: tuple[bytes, bytes]) -> Message:
    return {
        "type": "http.response.start",
        "status": status,
        "headers": [(b"etag", etag(version)), _CACHE, *headers],
    }


async def _build(redis: Redis, job_id: str) -> tuple[int, bytes]:
    snapshot = await jobs.read(redis, job_id)
    return snapshot.version, msgspec.json.encode(job_document(snapshot))


def _has(scope: Scope, tag: bytes) -> bool:
    """Whether an If-None-Match holds the tag: RFC 9110, 13.1.2, by weak comparison."""
    asked = b",".join(value for name, value in scope["headers"] if name == b"if-none-match")
    if not asked:
        return False
    return any(one.strip().removeprefix(b"W/") in (tag, b"*") for one in asked.split(b","))
