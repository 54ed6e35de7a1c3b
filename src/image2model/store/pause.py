"""Pauses of a queue, and the circuit that opens and closes by itself.

An operator pauses any queue (`paused`). The account's fault (`account`) and FAL being down (`fal`) pause
generations: images wait, none fails. Then a worker probes FAL for free; where that is well one image is
let through, and FAL's accepting it closes the circuit (in `commit_submission`). Who calls it: the worker
and the admin's routes.
"""

from typing import Final

from redis.asyncio import Redis

from image2model.domain import WaitingFor
from image2model.store.keys import Queue
from image2model.store.script import Script

FAILURES_TO_OPEN: Final = 5
"""FAL's failures in a row, over the fleet, that open the circuit."""
FIRST_GAP_S: Final = 2.0
LAST_GAP_S: Final = 60.0

_PAUSE: Final = Script("pause")
_FAULT: Final = Script("fault")
_PROBE: Final = Script("claim_probe")
_TRIAL: Final = Script("allow_trial")


async def pause(redis: Redis, queue: Queue) -> bool:
    """An operator's pause; False where it was paused so already."""
    return bool(await _PAUSE.packed(redis, queue.value, WaitingFor.PAUSED.value, True))


async def resume(redis: Redis, queue: Queue) -> bool:
    """The end of an operator's pause; False where there was none. Other reasons stay."""
    return bool(await _PAUSE.packed(redis, queue.value, WaitingFor.PAUSED.value, False))


async def record_fault(redis: Redis, reason: WaitingFor) -> bool:
    """A submit failed by the account's or by FAL's fault; whether generations are paused now."""
    gaps = (int(FIRST_GAP_S * 1000), int(LAST_GAP_S * 1000))
    return bool(await _FAULT.packed(redis, reason.value, FAILURES_TO_OPEN, *gaps))


async def claim_probe(redis: Redis) -> bool:
    """Whether it is this worker's turn to probe FAL."""
    return bool(await _PROBE(redis))


async def allow_trial(redis: Redis) -> None:
    """The probe went well: let one image through."""
    await _TRIAL(redis)
