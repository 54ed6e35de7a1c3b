"""Pauses of a queue, and the circuit breakers of the account, of FAL and of each endpoint: their state.

An operator pauses any queue (`paused`). A fault of the account (`account`) or of FAL (`fal`) pauses
generations: images wait and none fails. Then a worker probes FAL for free; if FAL is well, one image goes
through as a trial, and the circuit closes when FAL accepts it (in `commit_submission`). While an endpoint's
circuit is open its own images wait and all others go on. `probes` is the worker's part of it.
"""

from enum import StrEnum
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.domain import WaitingFor
from image2model.store.keys import Queue, key
from image2model.store.scripts import Script

FAILURES_TO_OPEN: Final = 5
"""Failures in a row, over the fleet, that open the circuit of FAL or of an endpoint. A 403 opens an
endpoint's at once, a fault of the account the account's."""
FIRST_GAP_S: Final = 2.0
"""The time from a pause to the first trial; it doubles after each failed one, up to LAST_GAP_S."""
LAST_GAP_S: Final = 60.0
_IDLE_S: Final = 86_400.0
"""How long an endpoint's circuit stays open when no image waits for it: the next image would be its probe."""

_SET_PAUSE: Final = Script("queue/set_pause")
_COUNT_FAULT: Final = Script("queue/count_fault")
_CLAIM_PROBE: Final = Script("queue/claim_probe")
_ALLOW_TRIAL: Final = Script("queue/allow_trial")
_COUNT_ENDPOINT_FAULT: Final = Script("queue/count_endpoint_fault")
_NOTE_ENDPOINT_RESULT: Final = Script("queue/note_endpoint_result")
_MAINTAIN_ENDPOINTS: Final = Script("queue/maintain_endpoints")


class Fault(StrEnum):
    """What an endpoint did wrong. The values are stored."""

    REFUSED = "refused"  # 403 to the POST: nothing was bought
    POST = "post"  # 5xx to the POST, or a malformed reply: FAL may have accepted
    LOST = "lost"  # no reply to the POST, which may be the connection's fault as well
    RESULT = "result"  # 5xx as the result: a definite failure


class Pace(msgspec.Struct, frozen=True):
    """How an open endpoint circuit is probed, in seconds.

    The gaps between probes double from the first to the last. An image without a verdict within
    `probe_within_s` stops being the probe, and the next waiting image becomes it.
    """

    first_gap_s: float = 30.0
    last_gap_s: float = 900.0
    probe_within_s: float = 90.0


PACE = Pace()
"""Every worker's. A test's worker sets another one before it starts."""


class FaultOutcome(msgspec.Struct, frozen=True, array_like=True):
    """What a fault led to: whether the endpoint's circuit is open, and why generations are paused ("":
    they are not paused by this fault)."""

    open: bool
    paused: str


class EndpointMaintenance(msgspec.Struct, frozen=True, array_like=True):
    """Each endpoint with an open circuit and the image that may probe it ("": none); each image that failed
    after waiting too long, with its endpoint."""

    open: list[tuple[str, str]]
    failed: list[tuple[str, str]]


class EndpointState(msgspec.Struct, frozen=True, array_like=True):
    """One open circuit. Times are ms since the epoch; `message` is FAL's, `waiting` counts images."""

    model: str
    opened_at: int
    why: Fault
    message: str
    probe_at: int
    waiting: int


_fault_outcome = msgspec.msgpack.Decoder(FaultOutcome)
_maintenance = msgspec.msgpack.Decoder(EndpointMaintenance)


async def pause_queue(redis: Redis, queue: Queue) -> bool:
    """Pause a queue for an operator; False if an operator had paused it already."""
    return bool(await _SET_PAUSE.packed(redis, queue.value, WaitingFor.PAUSED.value, True))


async def resume_queue(redis: Redis, queue: Queue) -> bool:
    """End an operator's pause; False if there was none. Other reasons stay."""
    return bool(await _SET_PAUSE.packed(redis, queue.value, WaitingFor.PAUSED.value, False))


async def count_fault(redis: Redis, reason: WaitingFor) -> bool:
    """Count a submit that failed because of the account or FAL. Returns whether generations are paused
    now."""
    gaps = (int(FIRST_GAP_S * 1000), int(LAST_GAP_S * 1000))
    return bool(await _COUNT_FAULT.packed(redis, reason.value, FAILURES_TO_OPEN, *gaps))


async def claim_probe(redis: Redis) -> bool:
    """Whether this worker should probe FAL now."""
    return bool(await _CLAIM_PROBE(redis))


async def allow_trial(redis: Redis) -> None:
    """Let one image through as a trial, after a successful probe."""
    await _ALLOW_TRIAL(redis)


async def count_endpoint_fault(
    redis: Redis,
    image_id: str,
    fault: Fault,
    message: str,
    *,
    status: int | None = None,
    fal_type: str | None = None,
    pace: Pace,
) -> FaultOutcome:
    """Count a fault of the endpoint of this image's job. Raises StoreOutage.

    Faults of two endpoints with nothing accepted in between pause generations: then the account is at fault,
    or FAL is down.
    """
    return _fault_outcome.decode(
        await _COUNT_ENDPOINT_FAULT.packed(
            redis,
            image_id,
            fault.value,
            message,
            status or 0,
            fal_type or "",
            FAILURES_TO_OPEN,
            _ms(pace.first_gap_s, pace.last_gap_s),
            _ms(FIRST_GAP_S, LAST_GAP_S),
        )
    )


async def note_endpoint_result(redis: Redis, image_id: str) -> None:
    """FAL returned a result that is no 5xx, which ends a row of failures. A success is noted without this."""
    await _NOTE_ENDPOINT_RESULT.packed(redis, image_id)


async def maintain_endpoints(redis: Redis, *, patience_s: float, pace: Pace) -> EndpointMaintenance:
    """Start the probes that are due, and fail the images that have waited for longer than `patience_s`.

    Any number of workers may call it at any time. Raises StoreOutage.
    """
    times = _ms(patience_s, pace.probe_within_s, _IDLE_S)
    return _maintenance.decode(await _MAINTAIN_ENDPOINTS.packed(redis, *times))


async def is_endpoint_blocked(redis: Redis, model: str, image_id: str) -> bool:
    """Whether this image has to wait for its endpoint now. Raises StoreOutage."""
    pipe = redis.pipeline(transaction=True)
    pipe.sismember(key("endpoints"), model)
    pipe.hget(key("endpoint", model), "probe_image")
    is_open, probe = await pipe.execute()
    return bool(is_open) and (probe or b"").decode() != image_id


def _ms(*seconds: float) -> list[int]:
    return [int(one * 1000) for one in seconds]
