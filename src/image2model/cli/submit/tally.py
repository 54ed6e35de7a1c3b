"""Counts of a run's items by what they are doing, for the whole run and for each batch.

Who calls it: the live board, each time that it draws.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from image2model.cli.submit.item import Item, Outcome
from image2model.domain import ImageStatus

MOVING: Final = (
    ImageStatus.STORING,
    ImageStatus.GENERATING,
    ImageStatus.SUBMITTED,
    ImageStatus.PREPARING,
    ImageStatus.QUEUED,
)
_SHOWN: Final = (ImageStatus.SUCCEEDED, *MOVING)
_DOING: Final = {ImageStatus.SUCCEEDED: "downloading"}  # the service is done, this machine is not
_LOST: Final = frozenset({ImageStatus.FAILED, ImageStatus.CANCELLED})


class Tally(msgspec.Struct):
    """`done` have their model, `failed` will have none, `statuses` counts what moves."""

    total: int
    done: int
    failed: int
    statuses: Counter[str]

    @property
    def ended(self) -> int:
        """What needs no more waiting."""
        return self.done + self.failed

    @property
    def words(self) -> str:
        """`generating 8  queued 4`."""
        counts = [(_DOING.get(status, status), self.statuses[status]) for status in _SHOWN]
        return "  ".join(f"{word} {count}" for word, count in counts if count)


def tally(items: Sequence[Item]) -> Tally:
    """Of these."""
    done = sum(item.outcome in {Outcome.SAVED, Outcome.KEPT} for item in items)
    failed = sum(has_failed(item) for item in items)
    moving = Counter(item.image.status for item in items if item.image and item.outcome is Outcome.PENDING)
    return Tally(len(items), done, failed, moving)


def has_failed(item: Item) -> bool:
    """Whether its end is known to be a bad one, before the run has said so."""
    if item.outcome is Outcome.PENDING:
        return item.image is not None and item.image.status in _LOST
    return item.outcome is Outcome.FAILED


def by_job(items: Sequence[Item]) -> dict[str, list[Item]]:
    """The items of each job, in the order in which the jobs come up; kept ones belong to none."""
    jobs: dict[str, list[Item]] = {}
    for item in items:
        if item.job_id is not None:
            jobs.setdefault(item.job_id, []).append(item)
    return jobs
