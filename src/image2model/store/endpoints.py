"""The circuit of each of FAL's endpoints: open while FAL refuses it, or while it fails.

An image that waits for its endpoint is parked out of every pick's sight and keeps its turn. One of them at a
time is let through to try; FAL's accepting it closes the circuit, and those that wait go on in their order.
Who gives up is ended here. Who calls it: the worker; `fleet.read` shows the open ones to everybody else.
"""

from enum import StrEnum
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.store import pause
from image2model.store.keys import key
from image2model.store.script import Script

FAILURES_TO_OPEN: Final = 5
"""Failures of one endpoint in a row, over the fleet, that open its circuit. A 403 opens it at once."""
_IDLE_S: Final = 86_400.0
"""How long a circuit for which nobody waits is kept: the next image would be its probe."""

_FAULT: Final = Script("endpoint_fault")
_RESULT: Final = Script("endpoint_result")
_TEND: Final = Script("tend_endpoints")


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


class Counted(msgspec.Struct, frozen=True, array_like=True):
    """What a fault led to: is the endpoint's circuit open, and for which reason are generations paused."""

    open: bool
    paused: str


class Tended(msgspec.Struct, frozen=True, array_like=True):
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


_counted = msgspec.msgpack.Decoder(Counted)
_tended = msgspec.msgpack.Decoder(Tended)


async def record_fault(
    redis: Redis,
    image_id: str,
    fault: Fault,
    words: str,
    *,
    status: int | None = None,
    fal_type: str | None = None,
    pace: Pace,
) -> Counted:
    """Count a fault of the endpoint that this image's job is for. Raises StoreOutage.

    Two endpoints at fault, with nothing accepted in between, pause generations: the account is refused, or
    FAL is down.
    """
    return _counted.decode(
        await _FAULT.packed(
            redis,
            image_id,
            fault.value,
            words,
            status or 0,
            fal_type or "",
            FAILURES_TO_OPEN,
            _ms(pace.first_gap_s, pace.last_gap_s),
            _ms(pause.FIRST_GAP_S, pause.LAST_GAP_S),
        )
    )


async def note_result(redis: Redis, image_id: str) -> None:
    """FAL gave a result that is no 5xx: its failures in a row are over. A success says so by itself."""
    await _RESULT.packed(redis, image_id)


async def tend(redis: Redis, *, patience_s: float, pace: Pace) -> Tended:
    """Let through the probes that are due, end the images that have waited for longer than `patience_s`.

    Any number of workers may call it as often as they like. Raises StoreOutage.
    """
    times = _ms(patience_s, pace.probe_within_s, _IDLE_S)
    return _tended.decode(await _TEND.packed(redis, *times))


async def refuses(redis: Redis, model: str, image_id: str) -> bool:
    """Whether this image has to wait for its endpoint now. Raises StoreOutage."""
    pipe = redis.pipeline(transaction=True)
    pipe.sismember(key("endpoints"), model)
    pipe.hget(key("endpoint", model), "probe_image")
    is_open, probe = await pipe.execute()
    return bool(is_open) and (probe or b"").decode() != image_id


def _ms(*seconds: float) -> list[int]:
    return [int(one * 1000) for one in seconds]
