"""Permits: how many images FAL may have at once, over the whole fleet.

Who calls it: the worker, right before a POST. A permit belongs to its image, from here to the end of its FAL
request, and is given back by the script that ends it.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.errors import StaleFence
from image2model.store.scripts import Script

_TAKE: Final = Script("queue/take_permits")


class Permit(IntEnum):
    """Whether an image may be POSTed now. STALE: it is no longer the caller's. REFUSED: FAL's endpoint is."""

    STALE = 0
    GRANTED = 1
    NONE_FREE = 2
    PAUSED = 3
    REFUSED = 4


class PermitRequest(msgspec.Struct, frozen=True, array_like=True):
    """Who wants one, and the intent that is written with it: which attempt, and the URL by which the request
    can be found again."""

    image_id: str
    fence: str
    attempt_token: str
    url: str


async def take(redis: Redis, permit_requests: Sequence[PermitRequest], *, max_permits: int) -> list[Permit]:
    """Step 2 of a submission, for several images in one step: an answer for each, the first one first."""
    answers: list[int] = await _TAKE.packed(redis, max_permits, permit_requests)
    return [Permit(answer) for answer in answers]


_ASK_AGAIN_S: Final = 0.25
"""For the bell that is not heard."""
_AT_ONCE: Final = 64
_LOOK_AHEAD: Final = 4


def look_ahead(permits: int) -> int:
    """How many pictures are prepared ahead of their permits: a quarter of them, and some.

    The fleet's, or from a worker's slots its own share.
    """
    return permits // 4 + _LOOK_AHEAD


class Paused(Exception):
    """Nothing was sent, by nobody's fault: generations were paused meanwhile, or the store was away."""


class EndpointRefused(Paused):
    """Nothing was sent: the image waits for FAL's endpoint."""


class PermitQueue:
    """Belongs to one event loop. `bell` is set when a permit may have come free."""

    def __init__(self, redis: Redis, *, max_permits: int) -> None:
        self.notification = asyncio.Event()
        self._redis = redis
        self._max_permits = max_permits
        self._waiting: deque[tuple[PermitRequest, asyncio.Future[Permit]]] = deque()
        self._server: asyncio.Task[None] | None = None

    async def take(self, permit_request: PermitRequest) -> None:
        """Wait for a permit; the intent is written with it.

        Raises StaleFence, Paused, EndpointRefused, StoreOutage.
        """
        answer: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        self._waiting.append((permit_request, answer))
        if self._server is None:
            self._server = asyncio.create_task(self._serve())
        permit = await answer
        if permit is Permit.STALE:
            raise StaleFence(f"image {permit_request.image_id} is no longer ours")
        if permit is Permit.PAUSED:
            raise Paused
        if permit is Permit.REFUSED:
            raise EndpointRefused

    def close(self) -> None:
        """Nobody waits any more."""
        if self._server is not None:
            self._server.cancel()

    async def _serve(self) -> None:
        """Until nobody waits."""
        try:
            while self._forget_gone():
                self.notification.clear()
                some = [one for one in self._waiting if not one[1].done()][:_AT_ONCE]
                if not await self._ask(some):
                    await self._listen()
        finally:
            self._server = None

    def _forget_gone(self) -> bool:
        """Whether somebody still waits: a task that was stopped does not."""
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()
        return bool(self._waiting)

    async def _ask(self, some: "list[tuple[PermitRequest, asyncio.Future[Permit]]]") -> bool:
        """Answer them; False where the last of them must go on waiting."""
        try:
            permits_now = await take(
                self._redis, [permit_request for permit_request, _ in some], max_permits=self._max_permits
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            for _, answer in some:
                if not answer.done():
                    answer.set_exception(error)
            return True
        for (_, answer), permit in zip(some, permits_now, strict=True):
            if permit is not Permit.NONE_FREE and not answer.done():
                answer.set_result(permit)
        return permits_now[-1] is not Permit.NONE_FREE

    async def _listen(self) -> None:
        try:
            async with asyncio.timeout(_ASK_AGAIN_S):
                await self.notification.wait()
        except TimeoutError:
            return
