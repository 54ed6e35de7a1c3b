"""Lookups: which caller may see a job, in which version the job is, and which key a credential belongs to.

`access` and `snapshot` serve a single request. `Lookups` gathers what many concurrent requests of one process
look up and sends it in shared round trips. Nothing is cached: each answer comes from the store after the
request arrived, so a revoked key or a deleted job is seen at once.
"""

import asyncio
import re
import time
from collections import deque
from typing import Final, Literal

import msgspec
from redis.asyncio import Redis

from image2model.access.keys import Budget, Rate, read_budget, read_models, read_rate
from image2model.errors import Expired, NotFound
from image2model.store import job_reads
from image2model.store.records import JobSnapshot
from image2model.store.run_id import last_run_id
from image2model.store.scripts import Script

_READ_JOBS: Final = Script("access/read_jobs")
Row = tuple[str, str, str, str, str, str]
"""Version, owner, deleted, expires_at, priority, updated_at, as the scripts return them."""
_rows = msgspec.msgpack.Decoder(list[Row])
_LOOK_UP: Final = Script("access/look_up")
_MAX_BATCH: Final = 500
"""Requests in one round trip: a longer script would block the store."""
_KeyRow = tuple[str, str, str, str, str, str, str, str, str]
_batch_rows = msgspec.msgpack.Decoder(tuple[list[Row], list[_KeyRow]])
_JOB_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


class JobState(msgspec.Struct, frozen=True):
    """Identifies one state of a job, also after the store went back to older data.

    `run_id` is the store server's, `updated_at` (ms since the epoch) is when the version was written: after a
    rollback the same version number is written again, at another time.
    """

    run_id: str
    version: int
    updated_at: int


class JobLookup(msgspec.Struct, frozen=True):
    """What decides whether a caller may see a job. `expires_at` is ms since the epoch, 0: not finished."""

    state: JobState
    owner: str
    expires_at: int
    low_priority: bool


async def snapshot(redis: Redis, owner: str, job_id: str) -> JobSnapshot:
    """The whole job. Raises NotFound, Expired, StoreOutage."""
    await access(redis, owner, job_id)
    return await job_reads.read_job(redis, job_id)


async def access(redis: Redis, owner: str, job_id: str) -> JobLookup:
    """The job's lookup, in one round trip. Raises NotFound, Expired, StoreOutage."""
    return visible(await read(redis, job_id) if is_job_id(job_id) else None, owner)


def visible(found: JobLookup | None, owner: str) -> JobLookup:
    """The lookup itself. Raises NotFound for another owner's job, Expired once the job has expired."""
    if found is None or found.owner != owner:
        raise NotFound("There is no such job.")
    if found.expires_at and found.expires_at <= time.time() * 1000:
        raise Expired("This job and its files have expired. Send the pictures again.")
    return found


def is_job_id(text: str) -> bool:
    """Whether the text has the form of a job id; any other text needs no round trip."""
    return _JOB_ID.fullmatch(text) is not None


async def read(redis: Redis, job_id: str) -> JobLookup | None:
    """The lookup of one job; None where there is no such job, or it was deleted. Raises StoreOutage."""
    (row,) = _rows.decode(await _READ_JOBS.packed(redis, [job_id]))
    return lookup_of(row, last_run_id())


def lookup_of(row: Row, run_id: str) -> JobLookup | None:
    """A script's row, read from the server `run_id`; None where there is no such job, or it was deleted."""
    version, owner, deleted, expires_at, priority, updated_at = row
    if not version or deleted == "1":
        return None
    state = JobState(run_id, int(version), int(updated_at or 0))
    return JobLookup(state, owner, int(expires_at or 0), priority == "low")


class Credential(msgspec.Struct, frozen=True, array_like=True):
    """What a request presents: the digest of a key or of a session's cookie."""

    kind: Literal["key", "session"]
    digest: str


class KeyFound(msgspec.Struct, frozen=True, kw_only=True):
    """The key behind a credential. `valid` is false where it is unknown, expired or revoked.

    `digest` is the key's own, also for a session. It is empty where there is no such session, or where the
    key has expired or was revoked.
    """

    digest: str
    valid: bool
    key_id: str
    owner: str
    role: str
    rate: Rate | None
    max_queued: int | None
    budget: Budget | None
    models: tuple[str, ...]


class _Batch:
    """The contents of one round trip: what to look up, each thing once, and the requests that wait for it."""

    def __init__(self) -> None:
        self.jobs: dict[str, int] = {}
        self.credentials: dict[Credential, int] = {}
        self.waiting: list[asyncio.Future[None]] = []
        self.jobs_found: list[JobLookup | None] = []
        self.keys_found: list[KeyFound] = []


class Lookups:
    """Shares round trips among the requests of one process. Belongs to one event loop."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._gathering: deque[_Batch] = deque()
        self._sending: asyncio.Task[None] | None = None

    async def job(self, job_id: str) -> JobLookup | None:
        """The lookup of a job; None where there is no such job. Raises StoreOutage."""
        batch = self._open()
        place = batch.jobs.setdefault(job_id, len(batch.jobs))
        await self._answered(batch)
        return batch.jobs_found[place]

    async def key(self, credential: Credential) -> KeyFound:
        """The key behind a credential. Raises StoreOutage."""
        batch = self._open()
        place = batch.credentials.setdefault(credential, len(batch.credentials))
        await self._answered(batch)
        return batch.keys_found[place]

    async def both(self, credential: Credential, job_id: str) -> tuple[KeyFound, JobLookup | None]:
        """`key` and `job` in one round trip. Raises StoreOutage."""
        batch = self._open()
        key = batch.credentials.setdefault(credential, len(batch.credentials))
        job = batch.jobs.setdefault(job_id, len(batch.jobs))
        await self._answered(batch)
        return batch.keys_found[key], batch.jobs_found[job]

    def _open(self) -> _Batch:
        """The batch that still accepts requests."""
        if not self._gathering or len(self._gathering[-1].waiting) >= _MAX_BATCH:
            self._gathering.append(_Batch())
        return self._gathering[-1]

    async def _answered(self, batch: _Batch) -> None:
        waiting = asyncio.get_running_loop().create_future()
        batch.waiting.append(waiting)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        await waiting

    async def _send(self) -> None:
        try:
            while self._gathering:
                await self._run(self._gathering.popleft())
        finally:
            self._sending = None

    async def _run(self, batch: _Batch) -> None:
        try:
            jobs, keys = _batch_rows.decode(
                await _LOOK_UP.packed(self._redis, list(batch.jobs), list(batch.credentials))
            )
            run_id = last_run_id()
            batch.jobs_found = [lookup_of(row, run_id) for row in jobs]
            batch.keys_found = [_key(row) for row in keys]
        except Exception as error:  # noqa: BLE001 - every waiting request raises it
            for waiting in batch.waiting:
                if not waiting.done():
                    waiting.set_exception(error)
            return
        for waiting in batch.waiting:
            if not waiting.done():
                waiting.set_result(None)


def _key(row: _KeyRow) -> KeyFound:
    digest, key_id, owner, role, rate, max_queued, budget_micro, budget_period, models = row
    return KeyFound(
        digest=digest,
        valid=bool(key_id),
        key_id=key_id,
        owner=owner,
        role=role,
        rate=read_rate(rate),
        max_queued=int(max_queued) if max_queued else None,
        budget=read_budget(budget_micro, budget_period),
        models=read_models(models),
    )
