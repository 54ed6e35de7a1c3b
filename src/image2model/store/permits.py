"""Permits: how many images FAL may have at once, over the whole fleet.

Who calls it: the worker, right before a POST. A permit belongs to its image, from here to the end of its FAL
request, and is given back by the script that ends it.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.store.script import Script

_TAKE: Final = Script("take_permits")


class Permit(IntEnum):
    """Whether an image may be POSTed now. STALE: it is no longer the caller's. REFUSED: FAL's endpoint is."""

    STALE = 0
    GRANTED = 1
    NONE_FREE = 2
    PAUSED = 3
    REFUSED = 4


class Wish(msgspec.Struct, frozen=True, array_like=True):
    """Who wants one, and the intent that is written with it: which attempt, and the URL by which the request
    can be found again."""

    image_id: str
    fence: str
    attempt_token: str
    url: str


async def take(redis: Redis, wishes: Sequence[Wish], *, max_permits: int) -> list[Permit]:
    """Step 2 of a submission, for several images in one step: an answer for each, the first one first."""
    answers: list[int] = await _TAKE.packed(redis, max_permits, wishes)
    return [Permit(answer) for answer in answers]
