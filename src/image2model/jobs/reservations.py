"""What is reserved for requests under way: the first and the last of three steps (ARCHITECTURE.md, "Cells").

A reservation counts like the images that it is for. Whoever made one ends it; the reconciler settles those of
processes that died, whatever they had done by then.
"""

import time
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.access.accounts import Refused
from image2model.store import job_reads
from image2model.store.connection import command
from image2model.store.keys import key
from image2model.store.scripts import Script

_RESERVE: Final = Script("jobs/reserve_jobs")
_END: Final = Script("jobs/end_reservation")
_FORBID: Final = Script("jobs/forbid_job")
SETTLED_AFTER_S: Final = 60.0
"""Longer than a living process takes for its second step: one that comes later is refused."""
_REPEATED_AFTER_S: Final = 15.0
"""The same where a client sends its request again. Longer than a command and its repetitions usually take."""
_AT_ONCE: Final = -1


class Reserved(msgspec.Struct, frozen=True, array_like=True):
    """The first step's reply: when the jobs are made, ms since the epoch, and the first start tag of each.

    `refused` says why they are not.
    """

    at: int
    scores: tuple[int, ...]
    refused: Refused | None = None

    @property
    def at_once(self) -> bool:
        """Whether processes of data version 4 run, which know no reservations: nothing was reserved."""
        return self.at == _AT_ONCE


_reserved: Final = msgspec.msgpack.Decoder(Reserved)


async def reserve(redis: Redis, token: str, *terms: object) -> Reserved:
    """Admit a request and reserve what it needs. `token` is its first job; `terms`: see `reserve_jobs.lua`.

    The same call again changes nothing. Raises StoreOutage.
    """
    return _reserved.decode(await _RESERVE.packed(redis, token, *terms))


async def end(redis: Redis, token: str, *, made: bool) -> None:
    """End a reservation, if it still is one. `made`: its jobs exist. Raises StoreOutage."""
    await _END.packed(redis, token, made)


async def forbid(redis: Redis, job_id: str) -> bool:
    """Whether the job exists. If not, it never will. Raises StoreOutage."""
    return bool(await _FORBID(redis, job_id))


async def settle(redis: Redis, token: str) -> bool:
    """End the reservation of a process that may have died at any step. Returns whether its jobs exist.

    All of them do, or none, and then none ever will. Raises StoreOutage: then a repetition continues.
    """
    made = await forbid(redis, token)
    await end(redis, token, made=made)
    return made


async def settle_repeated(redis: Redis, token: str) -> bool:
    """Settle the reservation of a request that came again: at once where its jobs exist, else after 15 s.

    Returns whether it is settled; False too where there is none by this token. Raises StoreOutage.
    """
    reserved_at = await command(redis, "ZSCORE", key("reservations"), token)
    if reserved_at is None:
        return False
    if await job_reads.job_version(redis, token) is None:
        seconds, micros = await command(redis, "TIME")  # the store's clock, as in the reservation
        if seconds + micros / 1e6 - reserved_at / 1000 < _REPEATED_AFTER_S:
            return False
    await settle(redis, token)
    return True


async def settle_abandoned(redis: Redis) -> int:
    """Settle every reservation that its process should have ended long ago; return how many."""
    latest = int((time.time() - SETTLED_AFTER_S) * 1000)
    found = await command(redis, "ZRANGEBYSCORE", key("reservations"), "-inf", latest)
    for token in found:
        await settle(redis, token.decode())
    return len(found)
