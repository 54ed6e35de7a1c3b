"""What following a request yields: its state at FAL, as far as it can be told.

Who calls it: the follower makes them, the worker reads them. Pure.
"""

from enum import StrEnum
from typing import Self

import msgspec

from image2model.fal.wire import Status
from image2model.fal.words import text_of


class FalStatus(StrEnum):
    """FAL's three states. COMPLETED says only that it has ended: the result tells how."""

    QUEUED = "IN_QUEUE"
    RUNNING = "IN_PROGRESS"
    COMPLETED = "COMPLETED"


class FalUpdate(msgspec.Struct, frozen=True):
    """One change. `queue_position` is FAL's, 0 for the next one; `error` is set on a failed end."""

    status: FalStatus
    queue_position: int | None = None
    error: str | None = None
    error_type: str | None = None

    @classmethod
    def of(cls, status: Status) -> Self | None:
        """The update in a status of the wire; None for a word that is none of FAL's three."""
        try:
            known = FalStatus(status.status)
        except ValueError:
            return None
        return cls(
            status=known,
            queue_position=status.queue_position if known is FalStatus.QUEUED else None,
            error=text_of(status.error),
            error_type=status.error_type,
        )
