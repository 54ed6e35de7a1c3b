"""One account's queue: who waits, in which order, and who of them may start.

The runners own the lanes. A lane knows nothing of time: the runners say which endpoints are not ready.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable

from fal_emulator.generation import Generation, Phase

Ready = Callable[[Generation], bool]


class Lane:
    """All requests of one account, normal priority before low. Positions are counted only when somebody asks
    after a change."""

    def __init__(self) -> None:
        self.running: Counter[str] = Counter()
        self.announcing = False
        self._stale = False
        self._normal: OrderedDict[str, Generation] = OrderedDict()
        self._low: OrderedDict[str, Generation] = OrderedDict()

    def __len__(self) -> int:
        return len(self._normal) + len(self._low)

    def waiting(self) -> list[Generation]:
        """In the order in which they will start, where no endpoint holds one up."""
        return [*self._normal.values(), *self._low.values()]

    def push(self, generation: Generation, *, front: bool = False) -> None:
        """Queue it; at the front if it has run already."""
        line = self._line(generation)
        line[generation.request_id] = generation
        if front:
            line.move_to_end(generation.request_id, last=False)
        self._stale = True

    def pop(self, ready: Ready) -> Generation | None:
        """Take the first whose endpoint is ready, out of the line. None if there is none."""
        for line in (self._normal, self._low):
            for generation in line.values():
                if ready(generation):
                    del line[generation.request_id]
                    self._stale = True
                    return generation
        return None

    def drop(self, generation: Generation) -> None:
        """It waits no longer, or runs no longer."""
        self._stale = self._line(generation).pop(generation.request_id, None) is not None or self._stale
        if generation.phase is Phase.IN_PROGRESS:
            self.running[generation.endpoint.id] -= 1

    def position(self, generation: Generation) -> int:
        """How many are before it."""
        if self._stale:
            for place, waiting in enumerate(self.waiting()):
                waiting.queued_as = place
            self._stale = False
        return generation.queued_as

    def _line(self, generation: Generation) -> OrderedDict[str, Generation]:
        return self._low if generation.low_priority else self._normal
