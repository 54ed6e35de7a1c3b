"""FAL's queue: who runs, who waits, and when each is done, by the event loop's clock and without polling.

Each account has `concurrency` runners of its own, which all its keys share; its other requests wait in order,
normal priority before low. An endpoint may have fewer runners (`limits`), or none yet (`warmth`): later
requests for other endpoints overtake what waits for it. The routes call it; it calls the studio for the work,
and tells one listener about everything that ended.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from fal_emulator.billing import bill
from fal_emulator.faults import Fault
from fal_emulator.generation import Answer, Generation, Phase
from fal_emulator.lanes import Lane
from fal_emulator.refusals import cancelled, internal_error, start_timeout
from fal_emulator.warmth import Warmth

POSITION_INTERVAL = 0.5
"""Seconds between two announcements of the positions in one queue, at least."""

POSITION_RATE = 500
"""Positions announced a second, at most: a long queue's are announced less often."""

_NOTHING: dict[str, object] = {}

Work = Callable[[Generation], asyncio.Future[Answer]]
Ended = Callable[[Generation], None]


class Runners:
    """All accounts' lanes and the clock of what runs. `limits`: how many requests for an endpoint one account
    runs at once, where that is fewer than `concurrency`. `resize` changes both at any time."""

    def __init__(self, concurrency: int, cold_start: float, work: Work, ended: Ended) -> None:
        self.concurrency = concurrency
        self.limits: dict[str, int] = {}
        self.warmth = Warmth(cold_start, self._fill_all)
        self._work = work
        self._ended = ended
        self._lanes: dict[str, Lane] = {}

    def accept(self, generation: Generation) -> None:
        """Queue it; it starts at once if a runner is free."""
        if Fault.START_TIMEOUT in generation.faults:
            generation.start_timeout = generation.latency
        else:
            self._lane(generation).push(generation)
        if generation.start_timeout is not None:
            generation.timer = self._after(generation.start_timeout, self._time_out, generation)
        self._fill(generation.key_id)

    def resize(self, concurrency: int | None = None, limits: Mapping[str, int | None] | None = None) -> None:
        """From now on each account, and each of these endpoints, has so many runners; what runs goes on.

        A limit of None is removed; endpoints that are not named keep theirs.
        """
        if concurrency is not None:
            self.concurrency = concurrency
        for endpoint_id, limit in (limits or {}).items():
            if limit is None:
                self.limits.pop(endpoint_id, None)
            else:
                self.limits[endpoint_id] = limit
        self._fill_all()

    def remaining(self, key_id: str) -> int:
        """How many more requests of this account could run at once."""
        lane = self._lanes.get(key_id)
        return max(self.concurrency - (0 if lane is None else lane.running.total()), 0)

    def position(self, generation: Generation) -> int:
        """Its truthful place in the queue: how many start before it."""
        return self._lane(generation).position(generation)

    def queue_length(self, endpoint_id: str) -> int:
        """How many requests for this endpoint wait, of all keys."""
        lanes = self._lanes.values()
        return sum(waiting.endpoint.id == endpoint_id for lane in lanes for waiting in lane.waiting())

    def cancel(self, generation: Generation) -> None:
        """End it now, as the model obeys."""
        generation.cancelled = True
        self._finish(generation, cancelled())

    def _lane(self, generation: Generation) -> Lane:
        return self._lanes.setdefault(generation.key_id, Lane())

    def _after(self, delay: float, step: Callable[[Generation], None], it: Generation) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(delay, step, it)

    def _fill_all(self) -> None:
        for key_id in list(self._lanes):
            self._fill(key_id)

    def _fill(self, key_id: str) -> None:
        lane = self._lanes.setdefault(key_id, Lane())

        def ready(generation: Generation) -> bool:
            name = generation.endpoint.id
            limit = self.limits.get(name)
            return (limit is None or lane.running[name] < limit) and self.warmth.is_warm(name)

        while lane and lane.running.total() < self.concurrency:
            generation = lane.pop(ready)
            if generation is None:
                break
            self._start(lane, generation)
        if lane:
            self._announce_later(lane)
        elif not lane.running.total():
            del self._lanes[key_id]

    def _start(self, lane: Lane, generation: Generation) -> None:
        lane.running[generation.endpoint.id] += 1
        self.warmth.started(generation.endpoint.id)
        if generation.timer is not None:
            generation.timer.cancel()
        generation.phase = Phase.IN_PROGRESS
        generation.entry.started_at = datetime.now(UTC)
        if Fault.REQUEUE in generation.faults and not generation.requeued:
            generation.timer = self._after(generation.latency / 2, self._requeue, generation)
        else:
            generation.timer = self._after(generation.latency, self._due, generation)
        generation.changed()
        if generation.work is None:
            generation.work = self._work(generation)

    def _requeue(self, generation: Generation) -> None:
        """A runner failed: back to the queue's front, for long enough that a poller can see it."""
        generation.requeued = True
        self._leave(generation)
        generation.phase = Phase.IN_QUEUE
        generation.timer = self._after(min(1.0, generation.latency / 4), self._return, generation)
        generation.changed()
        self._fill(generation.key_id)

    def _return(self, generation: Generation) -> None:
        self._lane(generation).push(generation, front=True)
        self._fill(generation.key_id)

    def _time_out(self, generation: Generation) -> None:
        self._finish(generation, start_timeout())

    def _due(self, generation: Generation) -> None:
        """The latency is over: finish, or as soon as the work is done where that takes longer."""
        work = generation.work
        if work is None or work.done():
            self._settle(generation)
        else:
            work.add_done_callback(lambda _: self._settle(generation))

    def _settle(self, generation: Generation) -> None:
        if generation.phase is Phase.COMPLETED or generation.work is None or generation.work.cancelled():
            return
        failure = generation.work.exception()
        if failure is None:
            self._finish(generation, generation.work.result())
        else:
            context = {"message": "a generation's work failed", "exception": failure}
            asyncio.get_running_loop().call_exception_handler(context)
            self._finish(generation, internal_error())

    def _leave(self, generation: Generation) -> None:
        """Out of its line, or out of its runner."""
        self._lane(generation).drop(generation)
        if generation.phase is Phase.IN_PROGRESS:
            self.warmth.ended(generation.endpoint.id)

    def _finish(self, generation: Generation, answer: Answer) -> None:
        self._leave(generation)
        if generation.timer is not None:
            generation.timer.cancel()
        generation.timer = generation.work = None  # both refer back: nothing is left for the collector
        generation.phase = Phase.COMPLETED
        generation.answer = bill(generation, answer)
        generation.input = _NOTHING  # a data URI may be large; the ledger has a short form of it
        generation.finished_at = asyncio.get_running_loop().time()
        generation.entry.finished_at = datetime.now(UTC)
        generation.entry.outcome = _outcome(generation, answer)
        self._ended(generation)
        generation.changed()
        self._fill(generation.key_id)

    def _announce_later(self, lane: Lane) -> None:
        if not lane.announcing:
            lane.announcing = True
            interval = max(POSITION_INTERVAL, len(lane) / POSITION_RATE)
            asyncio.get_running_loop().call_later(interval, self._announce, lane)

    def _announce(self, lane: Lane) -> None:
        lane.announcing = False
        for generation in lane.waiting():
            generation.changed()


def _outcome(generation: Generation, answer: Answer) -> str:
    if generation.cancelled:
        return "cancelled"
    return "succeeded" if answer.error is None else "failed"
