"""Heads of jobs: who may see a job, and in which version it is.

Who calls it: the use cases that take a job's id. Requests that come in crowds ask through `lookups`.
"""

import asyncio
import re
import time
from collections import deque
from typing import Final, Literal

import msgspec
from redis.asyncio import Redis

from image2model.access.keys import Budget, Rate, read_budget, read_rate
from image2model.errors import Expired, NotFound
from image2model.store import job_reads
from image2model.store.records import JobSnapshot
from image2model.store.run_id import last_run_id
from image2model.store.scripts import Script

_READ: Final = Script("access/read_heads")
Row = tuple[str, str, str, str, str, str]
"""Version, owner, deleted, expires_at, priority, updated_at, as a script gives them."""


class JobState(msgspec.Struct, frozen=True):
    """What tells one state of a job from every other, also where the store has gone back to older data.

    `life` is the run id of the server that told it, `updated_at` (ms) when the version came to be: after a
    rollback the same version comes to be again, at another time.
    """

    run_id: str
    version: int
    updated_at: int


class JobLookup(msgspec.Struct, frozen=True):
    """What decides whether a job may be seen. `expires_at` is ms since the epoch, 0: not ended."""

    state: JobState
    owner: str
    expires_at: int
    low_priority: bool


_heads = msgspec.msgpack.Decoder(list[Row])


async def read(redis: Redis, job_id: str) -> JobLookup | None:
    """One job's head; None where there is no such job (deleted ones included)."""
    (row,) = _heads.decode(await _READ.packed(redis, [job_id]))
    return head_of(row, last_run_id())


def head_of(row: Row, run_id: str) -> JobLookup | None:
    """A script's row as a head, told in this `life`; None where there is no such job, or it was deleted."""
    version, owner, deleted, expires_at, priority, updated_at = row
    if not version or deleted == "1":
        return None
    state = JobState(run_id, int(version), int(updated_at or 0))
    return JobLookup(state, owner, int(expires_at or 0), priority == "low")


_LOOK_UP: Final = Script("access/look_up")
_MOST: Final = 500
"""Requests of one round trip: the script must not hold the store up."""


class Credential(msgspec.Struct, frozen=True, array_like=True):
    """What a request presents: a key, or a session's cookie, as its digest."""

    kind: Literal["key", "session"]
    digest: str


class KeyFound(msgspec.Struct, frozen=True, kw_only=True):
    """The key behind a credential. `good` is false where it is unknown, expired or revoked.

    `digest` is the key's own, also for a session, and empty where there is no such session or the key has
    ended.
    """

    digest: str
    good: bool
    key_id: str
    owner: str
    role: str
    rate: Rate | None
    max_queued: int | None
    budget: Budget | None


_KeyRow = tuple[str, str, str, str, str, str, str, str]
_found = msgspec.msgpack.Decoder(tuple[list[Row], list[_KeyRow]])


class _Batch:
    """One round trip to be: what to ask for, each thing once, and who waits."""

    def __init__(self) -> None:
        self.jobs: dict[str, int] = {}
        self.credentials: dict[Credential, int] = {}
        self.waiting: list[asyncio.Future[None]] = []
        self.heads: list[JobLookup | None] = []
        self.keys: list[KeyFound] = []


class Lookups:
    """Shares round trips among all who ask in one process. Belongs to one event loop."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._gathering: deque[_Batch] = deque()
        self._sending: asyncio.Task[None] | None = None

    async def job(self, job_id: str) -> JobLookup | None:
        """One job's head as of now or later; None where there is none. Raises StoreOutage."""
        batch = self._open()
        place = batch.jobs.setdefault(job_id, len(batch.jobs))
        await self._done(batch)
        return batch.heads[place]

    async def key(self, credential: Credential) -> KeyFound:
        """The key behind a credential. Raises StoreOutage."""
        batch = self._open()
        place = batch.credentials.setdefault(credential, len(batch.credentials))
        await self._done(batch)
        return batch.keys[place]

    async def both(self, credential: Credential, job_id: str) -> tuple[KeyFound, JobLookup | None]:
        """Both, in one round trip. Raises StoreOutage."""
        batch = self._open()
        key = batch.credentials.setdefault(credential, len(batch.credentials))
        job = batch.jobs.setdefault(job_id, len(batch.jobs))
        await self._done(batch)
        return batch.keys[key], batch.heads[job]

    def _open(self) -> _Batch:
        """The batch that still takes requests."""
        if not self._gathering or len(self._gathering[-1].waiting) >= _MOST:
            self._gathering.append(_Batch())
        return self._gathering[-1]

    async def _done(self, batch: _Batch) -> None:
        waiting = asyncio.get_running_loop().create_future()
        batch.waiting.append(waiting)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        await waiting

    async def _send(self) -> None:
        try:
            while self._gathering:
                await self._ask(self._gathering.popleft())
        finally:
            self._sending = None

    async def _ask(self, batch: _Batch) -> None:
        try:
            heads, keys = _found.decode(
                await _LOOK_UP.packed(self._redis, list(batch.jobs), list(batch.credentials))
            )
            run_id = last_run_id()
            batch.heads = [head_of(row, run_id) for row in heads]
            batch.keys = [_key(row) for row in keys]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer of all who asked
            for waiting in batch.waiting:
                if not waiting.done():
                    waiting.set_exception(error)
            return
        for waiting in batch.waiting:
            if not waiting.done():
                waiting.set_result(None)


def _key(row: _KeyRow) -> KeyFound:
    digest, key_id, owner, role, rate, max_queued, budget_micro, budget_period = row
    return KeyFound(
        digest=digest,
        good=bool(key_id),
        key_id=key_id,
        owner=owner,
        role=role,
        rate=read_rate(rate),
        max_queued=int(max_queued) if max_queued else None,
        budget=read_budget(budget_micro, budget_period),
    )


_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


def is_job_id(text: str) -> bool:
    """Whether a job could have this id; any other text is not worth a round trip."""
    return _ID.fullmatch(text) is not None


def visible(head: JobLookup | None, owner: str) -> JobLookup:
    """The head itself. Raises NotFound for another owner's, and Expired once the job's life is over."""
    if head is None or head.owner != owner:
        raise NotFound("There is no such job.")
    if head.expires_at and head.expires_at <= time.time() * 1000:
        raise Expired("This job has expired, and its files with it.")
    return head


async def access(redis: Redis, owner: str, job_id: str) -> JobLookup:
    """The job's head, in one round trip. Raises NotFound, Expired."""
    return visible(await read(redis, job_id) if is_job_id(job_id) else None, owner)


async def snapshot(redis: Redis, owner: str, job_id: str) -> JobSnapshot:
    """The whole job. Raises NotFound, Expired."""
    await access(redis, owner, job_id)
    return await job_reads.read_job(redis, job_id)
