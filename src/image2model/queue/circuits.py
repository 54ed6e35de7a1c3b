"""Pauses of a queue, and the circuit that opens and closes by itself.

An operator pauses any queue (`paused`). The account's fault (`account`) and FAL being down (`fal`) pause
generations: images wait, none fails. Then a worker probes FAL for free; where that is well one image is
let through, and FAL's accepting it closes the circuit (in `commit_submission`). Who calls it: the worker
and the admin's routes.
"""

from enum import StrEnum
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.domain import WaitingFor
from image2model.store.keys import Queue, key
from image2model.store.scripts import Script

FAILURES_TO_OPEN: Final = 5
"""FAL's failures in a row, over the fleet, that open the circuit."""
FIRST_GAP_S: Final = 2.0
LAST_GAP_S: Final = 60.0

_PAUSE: Final = Script("queue/set_pause")
_COUNT_FAULT: Final = Script("queue/count_fault")
_PROBE: Final = Script("queue/claim_probe")
_TRIAL: Final = Script("queue/allow_trial")


async def pause_queue(redis: Redis, queue: Queue) -> bool:
    """An operator's pause; False where it was paused so already."""
    return bool(await _PAUSE.packed(redis, queue.value, WaitingFor.PAUSED.value, True))


async def resume_queue(redis: Redis, queue: Queue) -> bool:
    """The end of an operator's pause; False where there was none. Other reasons stay."""
    return bool(await _PAUSE.packed(redis, queue.value, WaitingFor.PAUSED.value, False))


async def count_fault(redis: Redis, reason: WaitingFor) -> bool:
    """A submit failed by the account's or by FAL's fault; whether generations are paused now."""
    gaps = (int(FIRST_GAP_S * 1000), int(LAST_GAP_S * 1000))
    return bool(await _COUNT_FAULT.packed(redis, reason.value, FAILURES_TO_OPEN, *gaps))


async def claim_probe(redis: Redis) -> bool:
    """Whether it is this worker's turn to probe FAL."""
    return bool(await _PROBE(redis))


async def allow_trial(redis: Redis) -> None:
    """The probe went well: let one image through."""
    await _TRIAL(redis)


"""Failures of one endpoint in a row, over the fleet, that open its circuit. A 403 opens it at once."""
_IDLE_S: Final = 86_400.0
"""How long a circuit for which nobody waits is kept: the next image would be its probe."""

_COUNT_ENDPOINT_FAULT: Final = Script("queue/count_endpoint_fault")
_RESULT: Final = Script("queue/note_endpoint_result")
_TEND: Final = Script("queue/maintain_endpoints")


class Fault(StrEnum):
    """What an endpoint did. Its values stand in the store."""

    REFUSED = "refused"  # 403 to the POST: nothing was bought
    POST = "post"  # 5xx to the POST, or a reply that makes no sense: FAL may have accepted
    LOST = "lost"  # no reply to the POST, which may be the connection's fault as well
    RESULT = "result"  # 5xx as the result: a definite failure


class Pace(msgspec.Struct, frozen=True):
    """How an open circuit is probed, in seconds.

    The gaps between probes double from the first to the last. An image that has brought no verdict within
    `probe_within_s` probes no longer: the next one that waits does.
    """

    first_gap_s: float = 30.0
    last_gap_s: float = 900.0
    probe_within_s: float = 90.0


PACE = Pace()
"""Of every worker. A test's worker sets another one before it starts."""


class FaultOutcome(msgspec.Struct, frozen=True, array_like=True):
    """What a fault led to: is the endpoint's circuit open, and for which reason are generations paused."""

    open: bool
    paused: str


class EndpointMaintenance(msgspec.Struct, frozen=True, array_like=True):
    """Each endpoint whose circuit is open with the image that may try it ("": none); each image that gave up,
    with its endpoint."""

    open: list[tuple[str, str]]
    gave_up: list[tuple[str, str]]


class EndpointState(msgspec.Struct, frozen=True, array_like=True):
    """One open circuit. Times are ms since the epoch; `words` are FAL's, `waiting` counts images."""

    model: str
    opened_at: int
    why: Fault
    words: str
    probe_at: int
    waiting: int


_counted = msgspec.msgpack.Decoder(FaultOutcome)
_tended = msgspec.msgpack.Decoder(EndpointMaintenance)


async def count_endpoint_fault(
    redis: Redis,
    image_id: str,
    fault: Fault,
    words: str,
    *,
    status: int | None = None,
    fal_type: str | None = None,
    pace: Pace,
) -> FaultOutcome:
    """Count a fault of the endpoint that this image's job is for. Raises StoreOutage.

    Two endpoints at fault, with nothing accepted in between, pause generations: the account is refused, or
    FAL is down.
    """
    return _counted.decode(
        await _COUNT_ENDPOINT_FAULT.packed(
            redis,
            image_id,
            fault.value,
            words,
            status or 0,
            fal_type or "",
            FAILURES_TO_OPEN,
            _ms(pace.first_gap_s, pace.last_gap_s),
            _ms(FIRST_GAP_S, LAST_GAP_S),
        )
    )


async def note_endpoint_result(redis: Redis, image_id: str) -> None:
    """FAL gave a result that is no 5xx: its failures in a row are over. A success says so by itself."""
    await _RESULT.packed(redis, image_id)


async def maintain_endpoints(redis: Redis, *, patience_s: float, pace: Pace) -> EndpointMaintenance:
    """Let through the probes that are due, end the images that have waited for longer than `patience_s`.

    Any number of workers may call it as often as they like. Raises StoreOutage.
    """
    times = _ms(patience_s, pace.probe_within_s, _IDLE_S)
    return _tended.decode(await _TEND.packed(redis, *times))


async def is_endpoint_blocked(redis: Redis, model: str, image_id: str) -> bool:
    """Whether this image has to wait for its endpoint now. Raises StoreOutage."""
    pipe = redis.pipeline(transaction=True)
    pipe.sismember(key("endpoints"), model)
    pipe.hget(key("endpoint", model), "probe_image")
    is_open, probe = await pipe.execute()
    return bool(is_open) and (probe or b"").decode() != image_id


def _ms(*seconds: float) -> list[int]:
    return [int(one * 1000) for one in seconds]
