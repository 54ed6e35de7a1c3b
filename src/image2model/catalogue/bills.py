"""What FAL billed lately: beside the quote for each endpoint, and the mean of all.

Statistics, and not money: what is booked stands in `generation.costs`. Losing one costs nothing.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Literal

import msgspec
from redis.asyncio import Redis

from image2model.store.connection import StoreOutage, command
from image2model.store.keys import key
from image2model.store.scripts import Script

_NOTE: Final = Script("catalogue/note_bill")
KEPT: Final = 50
"""Bookings of each endpoint that are compared, and twice as many for the mean of all."""
FEWEST: Final = 5
"""With fewer bookings of an endpoint nothing is said about it."""
ALERT: Final = 0.10
_GATHERED_S: Final = 2.0
"""How long bookings are gathered: each writing rewrites the list of its endpoint."""
_Pairs = list[tuple[int, int]]
_pairs: Final = msgspec.msgpack.Decoder(_Pairs)


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """The last `bookings` of an endpoint: what FAL billed and what our quotes were, in micro-dollars."""

    model: str
    billed_micro: int
    quoted_micro: int
    bookings: int

    @property
    def ratio(self) -> float:
        """0.1: FAL bills a tenth more than was quoted."""
        return self.billed_micro / self.quoted_micro - 1

    @property
    def is_large(self) -> bool:
        """Whether it is worth an alert."""
        return abs(self.ratio) > ALERT


class NotedBill(msgspec.Struct, frozen=True, array_like=True):
    """One booking. `compared`: what FAL billed and what the quote was, False where either is not known."""

    model: str
    booked_micro: int
    compared: tuple[int, int] | Literal[False] = False


async def note(redis: Redis, bills: Sequence[NotedBill]) -> None:
    """Note bookings, the last one last. Raises StoreOutage."""
    await _NOTE.packed(redis, bills, KEPT)


class BillNotes:
    """Gathers the bookings of a process, and writes them together. Belongs to one event loop."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._gathered: list[NotedBill] = []
        self._writing: asyncio.Task[None] | None = None

    def add(self, bill: NotedBill) -> None:
        """Write it within a few seconds."""
        self._gathered.append(bill)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())

    def close(self) -> None:
        """Forget what is not written."""
        if self._writing is not None:
            self._writing.cancel()

    async def _write(self) -> None:
        try:
            while self._gathered:
                await asyncio.sleep(_GATHERED_S)
                gathered, self._gathered = self._gathered, []
                with suppress(StoreOutage):
                    await note(self._redis, gathered)
        finally:
            self._writing = None


async def drifts(redis: Redis) -> list[Drift]:
    """Every endpoint with enough bookings, the largest drift first. Raises StoreOutage."""
    rows: dict[bytes, bytes] = await command(redis, "HGETALL", key("bills"))
    found = []
    for model, packed in rows.items():
        pairs = _pairs.decode(packed)
        quoted = sum(quote for _, quote in pairs)
        if len(pairs) >= FEWEST and quoted > 0:
            billed = sum(bill for bill, _ in pairs)
            found.append(
                Drift(model=model.decode(), billed_micro=billed, quoted_micro=quoted, bookings=len(pairs))
            )
    return sorted(found, key=lambda one: (-abs(one.ratio), one.model))


async def mean_cost(redis: Redis) -> int | None:
    """Micro-dollars that a picture cost lately; None where none cost anything. Raises StoreOutage."""
    costs = [int(one) for one in await command(redis, "LRANGE", key("recent_costs"), 0, -1)]
    return round(sum(costs) / len(costs)) if costs else None
