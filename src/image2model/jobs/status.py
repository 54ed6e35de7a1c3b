"""`GET /status/{job_id}`: one shared round trip for the version, and bytes that were made once for it.

Who calls it: the router. Plain ASGI without request and response objects, because this is the most asked
route of all.
"""

from functools import partial
from typing import Final, cast

import msgspec
from redis.asyncio import Redis
from starlette.types import Message, Receive, Scope, Send

from image2model.access.lookup import JobState, is_job_id, visible
from image2model.http.documents import job_document
from image2model.jobs.document_cache import Built
from image2model.jobs.state import JobsState
from image2model.store import job_reads
from image2model.store.run_id import last_run_id

_CACHE: Final = (b"cache-control", b"private, no-cache")
_JSON: Final = (b"content-type", b"application/json")
_RUN_ID_DIGITS: Final = 12


class Status:
    """The job's document with a strong `ETag`; 304 where the client has it already."""

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer one request. Raises NotFound, Expired, and what authentication raises."""
        state = cast("JobsState", scope["state"]["api"])
        job_id: str = scope["path_params"]["job_id"]
        principal, head = await state.gate.authenticate_with_job(scope, job_id if is_job_id(job_id) else "")
        head = visible(head, principal.owner)
        if _has(scope, etag(head.state)):
            await send(_start(304, head.state))
            await send({"type": "http.response.body"})
            return
        built = await state.documents.get(job_id, head.state, partial(_build, state.redis, job_id))
        await send(_start(200, built.state, _JSON, (b"content-length", b"%d" % len(built.body))))
        await send({"type": "http.response.body", "body": built.body})


def etag(state: JobState) -> bytes:
    """The strong validator of a job's document in this state: the same from every replica.

    The version alone would come again after the store has gone back to older data.
    """
    return b'"%d-%x-%s"' % (state.version, state.updated_at, state.run_id[:_RUN_ID_DIGITS].encode())


def _start(status: int, state: JobState, *headers: tuple[bytes, bytes]) -> Message:
    return {
        "type": "http.response.start",
        "status": status,
        "headers": [(b"etag", etag(state)), _CACHE, *headers],
    }


async def _build(redis: Redis, job_id: str) -> Built:
    snapshot = await job_reads.read_job(redis, job_id)
    state = JobState(last_run_id(), snapshot.version, snapshot.job.updated_at)
    return Built(state, msgspec.json.encode(job_document(snapshot)))


def _has(scope: Scope, tag: bytes) -> bool:
    """Whether an If-None-Match holds the tag: RFC 9110, 13.1.2, by weak comparison."""
    asked = b",".join(value for name, value in scope["headers"] if name == b"if-none-match")
    if not asked:
        return False
    return any(one.strip().removeprefix(b"W/") in (tag, b"*") for one in asked.split(b","))
