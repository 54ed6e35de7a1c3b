"""What following a request yields: its state at FAL, as far as it can be told.

Who calls it: the follower makes them, the worker reads them. Pure.
"""

from enum import StrEnum
from typing import Final, Self

import msgspec

from image2model.fal.wire import Status, decode
from image2model.fal.words import error_of


class FalStatus(StrEnum):
    """FAL's three states, and three that it does not call so.

    COMPLETED says only that the request has ended: the result tells how. ENDED is any other word that sounds
    like an end: only the result tells whether it is one. UNSETTLED: such a word, and the result is not there.
    DENIED: FAL says that it does not know the request.
    """

    QUEUED = "IN_QUEUE"
    RUNNING = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    ENDED = "ENDED"
    UNSETTLED = "UNSETTLED"
    DENIED = "DENIED"


_END_WORDS: Final = frozenset(
    (
        *("ABORTED", "CANCELED", "CANCELLED", "COMPLETE", "COMPLETED_WITH_ERROR", "COMPLETED_WITH_ERRORS"),
        *("DEAD", "DONE", "ENDED", "ERROR", "ERRORED", "EXPIRED", "FAIL", "FAILED", "FAILURE", "FINISHED"),
        *("KILLED", "OK", "REJECTED", "SUCCEEDED", "SUCCESS", "SUCCESSFUL", "TERMINATED", "TIMEDOUT"),
        *("TIMED_OUT", "TIMEOUT"),
    )
)
"""Public clients of FAL's report some of these, though FAL documents none."""


class FalUpdate(msgspec.Struct, frozen=True):
    """One change. `queue_position` is FAL's, 0 for the next one; `error` is set on a failed end."""

    status: FalStatus
    queue_position: int | None = None
    error: str | None = None
    error_type: str | None = None

    @classmethod
    def of(cls, status: Status) -> Self | None:
        """The update in a status of the wire.

        None for a word that says neither where it is nor that it ended.
        """
        known = _known(status.status)
        if known is None:
            return None
        said = error_of(status.error, status.error_type)
        return cls(
            status=known,
            queue_position=_position(status.queue_position) if known is FalStatus.QUEUED else None,
            error=said.message or said.type if said else None,
            error_type=said.type if said else None,
        )


def _known(word: str) -> FalStatus | None:
    name = word.strip().upper().replace(" ", "_").replace("-", "_")
    if name in (FalStatus.QUEUED, FalStatus.RUNNING, FalStatus.COMPLETED):
        return FalStatus(name)
    return FalStatus.ENDED if name in _END_WORDS else None


def _position(raw: msgspec.Raw) -> int | None:
    try:
        return decode(bytes(raw), int | None)  # type: ignore[arg-type]  # msgspec takes unions
    except msgspec.DecodeError:
        return None
