"""`GET /status/{job_id}`: one shared round trip for the job's state, and a body that was encoded once for it.

Plain ASGI without request and response objects, because this is the most requested route of all. A kept
document is never sent unless the store has just reported its state: a store that came back with older data is
believed at once.
"""

from collections import OrderedDict
from time import monotonic
from typing import Final, cast

import msgspec
import structlog
from redis.asyncio import Redis
from starlette.types import Message, Receive, Scope, Send

from image2model.access.lookup import JobState, is_job_id, visible
from image2model.http.documents import job_document
from image2model.jobs.state import JobsState
from image2model.store import job_reads
from image2model.store.run_id import last_run_id
from image2model.telemetry.metrics import STORE_ROLLBACKS

_CACHE: Final = (b"cache-control", b"private, no-cache")
_JSON: Final = (b"content-type", b"application/json")
_RUN_ID_DIGITS: Final = 12
_CACHE_BYTES: Final = 32 << 20
_CACHE_S: Final = 60.0
"""How long a document stays that nobody asks for: jobs are polled until they end, and hardly ever again."""
_log: Final = structlog.stdlib.get_logger(__name__)


class Status:
    """The job's document with a strong `ETag`; 304 where the client has it already."""

    def __init__(self) -> None:
        self._documents = DocumentCache()

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Serve one request. Raises NotFound, Expired, and what authentication raises."""
        state = cast("JobsState", scope["state"]["api"])
        job_id: str = scope["path_params"]["job_id"]
        principal, found = await state.gate.authenticate_with_job(scope, job_id if is_job_id(job_id) else "")
        job = visible(found, principal.owner)
        if _client_has(scope, etag(job.state)):
            await send(_start(304, job.state))
            await send({"type": "http.response.body"})
            return
        document = self._documents.get(job_id, job.state)
        if document is None:
            document = await _read(state.redis, job_id)
            self._documents.put(job_id, document)
        length = (b"content-length", b"%d" % len(document.body))
        await send(_start(200, document.state, _JSON, length))
        await send({"type": "http.response.body", "body": document.body})


def etag(state: JobState) -> bytes:
    """The strong validator of a job's document in this state: the same from every replica.

    The version alone would repeat after the store has gone back to older data.
    """
    return b'"%d-%x-%s"' % (state.version, state.updated_at, state.run_id[:_RUN_ID_DIGITS].encode())


def _client_has(scope: Scope, tag: bytes) -> bool:
    """Whether an If-None-Match holds the tag: RFC 9110, 13.1.2, by weak comparison."""
    sent = b",".join(value for name, value in scope["headers"] if name == b"if-none-match")
    if not sent:
        return False
    return any(one.strip().removeprefix(b"W/") in (tag, b"*") for one in sent.split(b","))


def _start(status: int, state: JobState, *headers: tuple[bytes, bytes]) -> Message:
    return {
        "type": "http.response.start",
        "status": status,
        "headers": [(b"etag", etag(state)), _CACHE, *headers],
    }


class EncodedDocument(msgspec.Struct, frozen=True):
    """A document as JSON, the state that it shows, and when it was read (monotonic seconds)."""

    state: JobState
    body: bytes
    read_at: float


async def _read(redis: Redis, job_id: str) -> EncodedDocument:
    """The document as it is now. Raises NotFound."""
    snapshot = await job_reads.read_job(redis, job_id)
    state = JobState(last_run_id(), snapshot.version, snapshot.job.updated_at)
    return EncodedDocument(state, msgspec.json.encode(job_document(snapshot)), monotonic())


class DocumentCache:
    """One document for each job, bounded by bytes and by time; the least recently used go first.

    Without the bound by time, a process grew for hours, until documents that nobody asked for filled the
    bytes. Belongs to one event loop.
    """

    def __init__(self, max_bytes: int = _CACHE_BYTES, max_s: float = _CACHE_S) -> None:
        self.max_bytes = max_bytes
        self.max_s = max_s
        self.held = 0
        self._documents: OrderedDict[str, EncodedDocument] = OrderedDict()

    def get(self, job_id: str, state: JobState) -> EncodedDocument | None:
        """The document of exactly this state, which the store has just reported; None where it is missing."""
        document = self._documents.get(job_id)
        if document is None:
            return None
        if document.state == state:
            self._documents.move_to_end(job_id)
            return document
        _note_rollback(job_id, document.state, state)
        return None

    def put(self, job_id: str, document: EncodedDocument) -> None:
        """Keep it in place of an earlier one."""
        before = self._documents.pop(job_id, None)
        if before is not None:
            self.held -= len(before.body)
        self._documents[job_id] = document
        self.held += len(document.body)
        while self._documents and not self._may_stay(next(iter(self._documents.values())), document.read_at):
            _, dropped = self._documents.popitem(last=False)
            self.held -= len(dropped.body)

    def _may_stay(self, oldest: EncodedDocument, now: float) -> bool:
        """Whether nothing has to go. All other documents were used after the oldest one was read: so if that
        is not long ago, none is out of use. If it is, and somebody still asks, it is read anew once in
        `max_s`."""
        return self.held <= self.max_bytes and oldest.read_at >= now - self.max_s


def _note_rollback(job_id: str, before: JobState, now: JobState) -> None:
    """Within one run of the server, an older version is only a request that another one has overtaken."""
    if before.run_id != now.run_id and before.version > now.version:
        STORE_ROLLBACKS.inc()
        _log.error("store_rolled_back", job_id=job_id, before=before.version, now=now.version)
