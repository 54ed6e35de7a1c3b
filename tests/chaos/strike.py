"""Carries the draws out, and counts what was really done.

Who calls it: the driver. A draw whose slot is down just then is skipped, which is why the numbers of a
replayed run differ a little while its sequence does not.
"""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Coroutine

import aiohttp

from tests.chaos.draws import KILLS, LOCKED, Draw, Kind
from tests.chaos.slot import Slot
from tests.chaos.world import World

_AWAY_S = 2.0
_LOCKED_S = 3.0


class Strikes:
    """The faults of one run. `done`: how many of each kind."""

    def __init__(self, world: World, http: aiohttp.ClientSession) -> None:
        self.done: Counter[str] = Counter()
        self.skipped = 0
        self.api_kills: list[float] = []
        self._world = world
        self._http = http
        self._under_way: set[asyncio.Task[None]] = set()
        self._ours: dict[str, Callable[[Draw], bool]] = {
            Kind.KILL_WORKER: lambda draw: self._end(draw, world.workers, Slot.kill),
            Kind.TERM_WORKER: lambda draw: self._end(draw, world.workers, Slot.terminate),
            Kind.STOP_WORKER: lambda draw: self._stop(draw, world.workers),
            Kind.KILL_API: lambda draw: self._end(draw, world.apis, Slot.kill),
            Kind.TERM_API: lambda draw: self._end(draw, world.apis, Slot.terminate),
            Kind.STOP_API: lambda draw: self._stop(draw, world.apis),
            Kind.KILL_STORE: lambda draw: self._store(draw, signal.SIGKILL),
            Kind.TERM_STORE: lambda draw: self._store(draw, signal.SIGTERM),
        }

    @property
    def kills(self) -> int:
        """How many processes have been killed."""
        return sum(self.done[kind] for kind in KILLS)

    async def strike(self, draw: Draw) -> None:
        """Carry one draw out. What takes a while goes on in the background."""
        ours = self._ours.get(draw.kind)
        if ours is None:
            await self._fal(draw)
        elif not ours(draw):
            self.skipped += 1
            return
        self.done[draw.kind] += 1

    async def settle(self) -> None:
        """Wait until the last of them is over, and FAL is well."""
        while self._under_way:
            await asyncio.gather(*self._under_way)
        await self._world.fal_is_well(self._http)

    def _end(self, draw: Draw, slots: list[Slot], how: Callable[[Slot], None]) -> bool:
        slot = _of(slots, draw)
        if slot.is_ready:
            how(slot)
            if draw.kind == Kind.KILL_API:
                self.api_kills.append(time.time())
            return True
        return False

    def _stop(self, draw: Draw, slots: list[Slot]) -> bool:
        slot = _of(slots, draw)
        if not slot.is_ready:
            return False
        self._start(slot.stop(self._world.size.lease * (1 + draw.much)))
        return True

    def _store(self, draw: Draw, number: signal.Signals) -> bool:
        if not self._world.store.is_up:
            return False
        self._start(self._world.store.restart(number, draw.much * _AWAY_S))
        return True

    async def _fal(self, draw: Draw) -> None:
        if draw.kind == LOCKED:
            self._start(self._lock(draw.much * _LOCKED_S))
        else:
            await self._world.fal_fault(self._http, {"kind": draw.kind, "count": draw.count})

    async def _lock(self, seconds: float) -> None:
        await self._world.fal_fault(self._http, {"kind": LOCKED, "rate": 1})
        await asyncio.sleep(seconds)
        await self._world.fal_fault(self._http, {"kind": LOCKED, "rate": 0})

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


def _of(slots: list[Slot], draw: Draw) -> Slot:
    return slots[int(draw.where * len(slots))]
