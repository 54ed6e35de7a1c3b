"""Carries the draws out, and counts what was really done.

Who calls it: the driver. A draw whose slot is down just then is skipped, which is why the numbers of a
replayed run differ a little while its sequence does not. A kind that was drawn often and never carried out
is a fault of the run, and so is a strike that raised.
"""

import asyncio
import itertools
import os
import signal
from collections import Counter
from collections.abc import Callable, Coroutine

import aiohttp

from tests.chaos.busy import BusyLoops
from tests.chaos.draws import BUSY, KILLS, LOCKED, Draw, Kind
from tests.chaos.slot import Slot
from tests.chaos.supervision import Supervisor
from tests.chaos.world import World

_AWAY_S = 2.0
_LOCKED_S = 3.0
_BUSY_S = 3.0
_OFTEN = 8
"""Of so many draws of a kind one at least must have met a slot that was up."""


class Strikes:
    """The faults of one run. `done`: how many of each kind; `drawn`: how many were drawn."""

    def __init__(self, world: World, http: aiohttp.ClientSession, supervisor: Supervisor) -> None:
        self.done: Counter[str] = Counter()
        self.drawn: Counter[str] = Counter()
        self._world = world
        self._http = http
        self._supervisor = supervisor
        self._numbers = itertools.count()
        self._under_way: set[asyncio.Task[object]] = set()
        self.ours: dict[str, Callable[[Draw], bool]] = {
            Kind.KILL_WORKER: lambda draw: self._end(draw, world.workers, Slot.kill),
            Kind.TERM_WORKER: lambda draw: self._end(draw, world.workers, Slot.terminate),
            Kind.STOP_WORKER: lambda draw: self._stop(draw, world.workers),
            Kind.KILL_API: lambda draw: self._end(draw, world.apis, Slot.kill),
            Kind.TERM_API: lambda draw: self._end(draw, world.apis, Slot.terminate),
            Kind.STOP_API: lambda draw: self._stop(draw, world.apis),
            Kind.KILL_STORE: lambda draw: self._store(draw, signal.SIGKILL),
            Kind.TERM_STORE: lambda draw: self._store(draw, signal.SIGTERM),
            BUSY: self._busy,
        }

    @property
    def kills(self) -> int:
        """How many processes have been killed."""
        return sum(self.done[kind] for kind in KILLS)

    @property
    def skipped(self) -> int:
        """How many draws met a slot that was down."""
        return self.drawn.total() - self.done.total()

    async def strike(self, draw: Draw) -> None:
        """Carry one draw out. What takes a while goes on in the background."""
        self.drawn[draw.kind] += 1
        ours = self.ours.get(draw.kind)
        if ours is None:
            await self._fal(draw)
        elif not ours(draw):
            return
        self.done[draw.kind] += 1

    async def settle(self) -> None:
        """Wait until the last of them is over, and FAL is well."""
        while self._under_way:
            await asyncio.wait(self._under_way)
        await self._world.fal_is_well(self._http)

    def faults(self) -> list[str]:
        """Kinds of draws that never came about."""
        if not self.done:
            return ["no draw was carried out"]
        return [
            f"the draw {kind} came {count} times and was never carried out"
            for kind, count in self.drawn.items()
            if count >= _OFTEN and not self.done[kind]
        ]

    def _end(self, draw: Draw, slots: list[Slot], how: Callable[[Slot], None]) -> bool:
        slot = _of(slots, draw)
        if slot.is_ready:
            how(slot)
            return True
        return False

    def _stop(self, draw: Draw, slots: list[Slot]) -> bool:
        slot = _of(slots, draw)
        if not slot.is_ready:
            return False
        self._start(draw.kind, slot.stop(self._world.size.lease * (1 + draw.much)))
        return True

    def _store(self, draw: Draw, number: signal.Signals) -> bool:
        if not self._world.store.is_up:
            return False
        self._start(draw.kind, self._world.store.restart(number, draw.much * _AWAY_S))
        return True

    def _busy(self, draw: Draw) -> bool:
        self._start(draw.kind, _use_every_core(_BUSY_S * (1 + draw.much)))
        return True

    async def _fal(self, draw: Draw) -> None:
        if draw.kind == LOCKED:
            self._start(draw.kind, self._lock(draw.much * _LOCKED_S))
        else:
            await self._world.fal_fault(self._http, {"kind": draw.kind, "count": draw.count})

    async def _lock(self, seconds: float) -> None:
        await self._world.fal_fault(self._http, {"kind": LOCKED, "rate": 1})
        await asyncio.sleep(seconds)
        await self._world.fal_fault(self._http, {"kind": LOCKED, "rate": 0})

    def _start(self, kind: str, work: Coroutine[object, object, None]) -> None:
        task = self._supervisor.finite(f"strike {next(self._numbers)} ({kind})", work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


async def _use_every_core(seconds: float) -> None:
    loops = BusyLoops(os.cpu_count() or 1, seconds + 5)
    try:
        await asyncio.sleep(seconds)
    finally:
        loops.end()


def _of(slots: list[Slot], draw: Draw) -> Slot:
    return slots[int(draw.where * len(slots))]
