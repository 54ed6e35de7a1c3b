"""Who asks, and which job for: all who ask at once share one round trip.

Who calls it: the API's gate. While one round trip is under way the next one gathers; nobody joins one
that was sent before they asked, so a client always sees what it has itself just done, and a revoked key
opens nothing. Nothing is remembered between two round trips.
"""

import asyncio
from collections import deque
from typing import Final, Literal

import msgspec
from redis.asyncio import Redis

from image2model.store.api_keys import Budget, Rate, read_budget, read_rate
from image2model.store.heads import JobHead, Row, head_of
from image2model.store.life import spoken_to
from image2model.store.script import Script

_LOOK_UP: Final = Script("look_up")
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
        self.heads: list[JobHead | None] = []
        self.keys: list[KeyFound] = []


class Lookups:
    """Shares round trips among all who ask in one process. Belongs to one event loop."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._gathering: deque[_Batch] = deque()
        self._sending: asyncio.Task[None] | None = None

    async def job(self, job_id: str) -> JobHead | None:
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

    async def both(self, credential: Credential, job_id: str) -> tuple[KeyFound, JobHead | None]:
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
            life = spoken_to()
            batch.heads = [head_of(row, life) for row in heads]
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
