"""The list of what must be deleted at FAL: typed store calls.

Under `I2M_FAL_PRIVACY=private` a request is on the list from the step that stores its id. The step that ends
it makes it due: a result that is stored with nothing missing, a failure, a cancel, another attempt in its
place, the deletion of its job. Nothing here may make a request due before that. All calls raise StoreOutage.
"""

from enum import StrEnum
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.settings import Settings
from image2model.store.scripts import Script

_DUE: Final = Script("generation/due_fal_deletions")
_NOTE: Final = Script("generation/note_fal_deletion")
_LEAVE: Final = Script("generation/leave_fal")
_LATE: Final = Script("generation/note_late_request")
_SCHEDULE: Final = Script("generation/schedule_fal_deletions")
_READ: Final = Script("generation/read_fal_deletions")
_ABANDONED_MS: Final = 60_000
"""On top of I2M_TASK_TIMEOUT, the longest that an abandoned request is followed."""
_POSTPONED_MS: Final = 3_600_000
"""For how long a request that is still followed is kept on, when its time is over."""
_LATE_MS: Final = 60_000
"""Another process may be reading the result of a request whose end FAL reports."""


class KeptAtFal(msgspec.Struct, frozen=True):
    """For how many ms FAL keeps a request at most, and for how long where it is abandoned."""

    keep_ms: int
    abandoned_ms: int


class Outcome(StrEnum):
    """How a try to delete ended; see `note_fal_deletion.lua`."""

    DONE = "done"
    DENIED = "denied"
    REFUSED = "refused"
    LEFT = "left"
    FAILED = "failed"


class DueDeletion(msgspec.Struct, frozen=True, array_like=True):
    """A request to delete now. `denied_at`: ms, when FAL first said that it has no such request, 0: never."""

    request_id: str
    tries: int
    denied_at: int


class DueDeletions(msgspec.Struct, frozen=True, array_like=True):
    """What is due at `at` (ms by the store's clock); `next_at` is when the next one is, 0: there is none."""

    at: int
    next_at: int
    requests: list[DueDeletion]


class DeletionState(msgspec.Struct, frozen=True, array_like=True):
    """The list in numbers. `kept`: requests that have not ended, or of which something may still be fetched;
    `pending`: to be deleted now, of which `failing` were tried at least once; `done`: deleted so far.

    `refused`: why FAL refuses the admin key, empty where it does not. `last_error_at` is in ms.
    """

    kept: int
    pending: int
    done: int
    failing: int
    refused: str
    last_error: str
    last_error_at: int


_due: Final = msgspec.msgpack.Decoder(DueDeletions, strict=False)
_state: Final = msgspec.msgpack.Decoder(DeletionState, strict=False)


def kept_at_fal(settings: Settings) -> KeptAtFal | None:
    """The terms of a request that is sent now; None where nothing is deleted at FAL."""
    if not settings.deletes_at_fal:
        return None
    keep_ms = int(settings.fal_retention * 1000)
    return KeptAtFal(keep_ms, min(keep_ms, int(settings.task_timeout * 1000) + _ABANDONED_MS))


async def due(redis: Redis, limit: int) -> DueDeletions:
    """The next requests to delete at FAL."""
    return _due.decode(await _DUE.packed(redis, limit, _POSTPONED_MS))


async def note(redis: Redis, request_id: str, outcome: Outcome, reason: str = "", gap_s: float = 0) -> None:
    """Store how a try ended; without DONE the next one is in `gap_s`."""
    await _NOTE.packed(redis, request_id, outcome.value, reason, int(gap_s * 1000))


async def leave(redis: Redis, request_id: str) -> None:
    """Nobody follows this request any more: delete it at FAL, if it is on the list."""
    await _LEAVE.packed(redis, request_id)


async def note_late_request(redis: Redis, image_id: str, attempt_token: str, request_id: str) -> bool:
    """FAL reports the end of a request that nobody follows: delete it at FAL if it is ours. Whether it is."""
    return bool(await _LATE.packed(redis, image_id, attempt_token, request_id, _LATE_MS))


async def schedule(redis: Redis) -> None:
    """Queue the task that deletes, if something is due."""
    await _SCHEDULE.packed(redis)


async def read(redis: Redis) -> DeletionState:
    """The list in numbers."""
    return _state.decode(await _READ.packed(redis))
