"""What FAL took: booked on the image, its job, its owner's account and the day's table in one step.

Who calls it: `service.bookings`, which counts what is booked, and the worker's upkeep. All money is in
micro-dollars. Costs of an image add up over its attempts and retries, and are never taken back.
"""

from enum import IntEnum
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.store.script import Script

_BOOK: Final = Script("book_cost")
_RELEASE: Final = Script("release_holds")
_PAGE: Final = 500


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """One request of FAL's and what it took.

    `owner` and `model` None: they are those of the hold for `attempt`, or of the image. `attempt` is the
    token of the attempt that made the request; empty where the image is still at it. `micro` None: what was
    set aside for the attempt. `nonce` is the caller's: by it a repeated call is known as its own.
    """

    image_id: str
    owner: str | None
    model: str | None
    request_id: str
    micro: int | None
    uncertain: bool
    nonce: str
    attempt: str = ""


class Outcome(IntEnum):
    """What became of a booking."""

    NOBODYS = -1
    BEFORE = 0
    BOOKED = 1


class Booked(msgspec.Struct, frozen=True, array_like=True):
    """`micro` is what the request took, whoever booked it; `overrun` is what it exceeded the budget by."""

    outcome: Outcome
    micro: int
    overrun: int
    model: str


_booked = msgspec.msgpack.Decoder(Booked)


async def book(redis: Redis, booking: Booking) -> Booked:
    """Book it once, whatever the image's status and whoever holds it. Raises StoreOutage."""
    return _booked.decode(
        await _BOOK.packed(
            redis,
            booking.image_id,
            booking.owner or False,
            booking.model or False,
            booking.request_id,
            booking.attempt,
            False if booking.micro is None else booking.micro,
            booking.uncertain,
            booking.nonce,
        )
    )


async def release_holds(redis: Redis) -> int:
    """Release what was held for a day for attempts that FAL has not billed; returns how many."""
    released, found = 0, _PAGE
    while found == _PAGE:
        found = int(await _RELEASE.packed(redis, _PAGE))
        released += found
    return released
