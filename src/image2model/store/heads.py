"""Heads of jobs: who may see a job, and in which version it is. Many who ask at once share a round trip.

Who calls it: the status route through `JobHeads`, the other use cases through `read`. While one round
trip is under way the next one gathers; nobody joins one that was sent before they asked, so a client
always sees what it has itself just done.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.store.script import Script

_READ: Final = Script("read_heads")
_MOST: Final = 500
"""Jobs of one round trip: the script must not hold the store up."""


class JobHead(msgspec.Struct, frozen=True):
    """What decides whether a job may be seen. `expires_at` is ms since the epoch, 0: not ended."""

    version: int
    owner: str
    expires_at: int
    low_priority: bool


_heads = msgspec.msgpack.Decoder(list[tuple[str, str, str, str, str]])


async def read(redis: Redis, job_id: str) -> JobHead | None:
    """One job's head; None where there is no such job (deleted ones included)."""
    return (await _read_many(redis, [job_id]))[0]


async def _read_many(redis: Redis, job_ids: Sequence[str]) -> list[JobHead | None]:
    return [_head(row) for row in _heads.decode(await _READ.packed(redis, job_ids))]


def _head(row: tuple[str, str, str, str, str]) -> JobHead | None:
    version, owner, deleted, expires_at, priority = row
    if not version or deleted == "1":
        return None
    return JobHead(int(version), owner, int(expires_at or 0), priority == "low")


class JobHeads:
    """Shares round trips among all who ask in one process. Belongs to one event loop."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._gathered: dict[str, asyncio.Future[JobHead | None]] = {}
        self._sending: asyncio.Task[None] | None = None

    async def read(self, job_id: str) -> JobHead | None:
        """One job's head as of now or later. Raises redis.RedisError."""
        answer = self._gathered.get(job_id)
        if answer is None:
            answer = self._gathered[job_id] = asyncio.get_running_loop().create_future()
            if self._sending is None:
                self._sending = asyncio.create_task(self._send())
        return await asyncio.shield(answer)

    async def _send(self) -> None:
        try:
            while self._gathered:
                batch = self._take()
                await self._answer(batch)
        finally:
            self._sending = None

    def _take(self) -> dict[str, asyncio.Future[JobHead | None]]:
        if len(self._gathered) <= _MOST:
            batch, self._gathered = self._gathered, {}
            return batch
        return {job_id: self._gathered.pop(job_id) for job_id in list(self._gathered)[:_MOST]}

    async def _answer(self, batch: dict[str, asyncio.Future[JobHead | None]]) -> None:
        try:
            found = await _read_many(self._redis, list(batch))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer of all who asked
            for answer in batch.values():
                answer.set_exception(error)
                answer.exception()  # looked at: who asked may be gone
            return
        for answer, head in zip(batch.values(), found, strict=True):
            answer.set_result(head)
