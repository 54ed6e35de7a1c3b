"""Counts the pictures of a run by their state, and estimates the time that is left.

The estimate measures this run alone, and is empty until enough pictures have ended.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from image2model.cli.submit.item import Item, Outcome
from image2model.domain import ImageStatus

_WINDOW_SECONDS: Final = 60.0
_MIN_ENDS: Final = 5
_MIN_SECONDS: Final = 3.0
MOVING: Final = (
    ImageStatus.STORING,
    ImageStatus.GENERATING,
    ImageStatus.SUBMITTED,
    ImageStatus.PREPARING,
    ImageStatus.QUEUED,
)
_SHOWN: Final = (ImageStatus.SUCCEEDED, *MOVING)
_DOING: Final = {ImageStatus.SUCCEEDED: "downloading"}  # the service is done, this machine is not
_FAILED_STATUSES: Final = frozenset({ImageStatus.FAILED, ImageStatus.CANCELLED})


class Tally(msgspec.Struct):
    """`done` have their model, `failed` will have none, `statuses` counts the rest."""

    total: int
    done: int
    failed: int
    statuses: Counter[str]

    @property
    def ended(self) -> int:
        """The pictures whose end is known."""
        return self.done + self.failed

    @property
    def summary(self) -> str:
        """`generating 8  queued 4`."""
        counts = [(_DOING.get(status, status), self.statuses[status]) for status in _SHOWN]
        return "  ".join(f"{word} {count}" for word, count in counts if count)


def tally(items: Sequence[Item]) -> Tally:
    """The counts of these items."""
    done = sum(item.outcome in {Outcome.SAVED, Outcome.KEPT} for item in items)
    failed = sum(has_failed(item) for item in items)
    moving = Counter(item.image.status for item in items if item.image and item.outcome is Outcome.PENDING)
    return Tally(len(items), done, failed, moving)


def has_failed(item: Item) -> bool:
    """Whether it has failed, also where the service has reported that and the run has not recorded it yet."""
    if item.outcome is Outcome.PENDING:
        return item.image is not None and item.image.status in _FAILED_STATUSES
    return item.outcome is Outcome.FAILED


def by_job(items: Sequence[Item]) -> dict[str, list[Item]]:
    """The items of each job, in the order of their first items; kept items have none."""
    jobs: dict[str, list[Item]] = {}
    for item in items:
        if item.job_id is not None:
            jobs.setdefault(item.job_id, []).append(item)
    return jobs


class Pace:
    """The rate at which pictures of this run end. `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends: deque[float] = deque()

    def ended(self) -> None:
        """One more picture has ended."""
        self._ends.append(self._clock())

    def rate(self) -> float | None:
        """Pictures a second over the last minute; None before five have ended over at least three seconds."""
        now = self._clock()
        while self._ends and now - self._ends[0] > _WINDOW_SECONDS:
            self._ends.popleft()
        spent = now - self._ends[0] if self._ends else 0.0
        if len(self._ends) < _MIN_ENDS or spent < _MIN_SECONDS:
            return None
        return (len(self._ends) - 1) / spent

    def text(self, remaining: int) -> str:
        """`41/min, about 1 min 20 s left`; empty until the rate is known."""
        rate = self.rate()
        if rate is None or not remaining:
            return ""
        shown = f"{rate:.1f}/s" if rate >= 1 else f"{rate * 60:.0f}/min"
        return f"{shown}, about {clock(remaining / rate)} left"


def clock(seconds: float) -> str:
    """`0:09`, `12:30`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
