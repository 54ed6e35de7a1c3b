"""Permits: how many images may be at FAL at once, over the whole fleet, and who is next.

There are as many as FAL runs at once and a small look-ahead (`window`), and at most `I2M_MAX_CONCURRENT`.
Images that are ready for their POST get them in the fair order. A permit belongs to its image, from right
before the POST to the end of the request at FAL, and outlives the worker. The script that ends the request
releases it. An image is never POSTed without one.
"""

import asyncio
import bisect
import itertools
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.errors import StaleFence
from image2model.queue.posts_first import PostsFirst
from image2model.queue.running import RunningTask
from image2model.queue.window import UNLIMITED, FalConcurrency
from image2model.store.arq_keys import DUE_AT, START_NEXT
from image2model.store.scripts import Script

_RETRY_S: Final = 0.25
"""For the notification that was lost."""
_GATHERED_S: Final = 0.005
"""After a request, before the next one: images that are ready, and permits that come free, come in waves."""
_BATCH: Final = 256
_LOOK_AHEAD: Final = 4

_TAKE: Final = Script("queue/take_permits")


class Permit(IntEnum):
    """Whether an image may be POSTed now. STALE: another worker holds the image, or it is final. REFUSED: its
    endpoint's circuit is open."""

    STALE = 0
    GRANTED = 1
    NONE_FREE = 2
    PAUSED = 3
    REFUSED = 4


class PermitRequest(msgspec.Struct, frozen=True, array_like=True):
    """A request for a permit, with the intent that is stored with it: the attempt, and the URL of the
    uploaded picture, by which the request can be found at FAL."""

    image_id: str
    fence: str
    attempt_token: str
    url: str


class Paused(Exception):
    """Nothing was sent, and the image is not to blame: generations were paused, or the store was away."""


class EndpointRefused(Paused):
    """Nothing was sent: the image waits for FAL's endpoint."""


def look_ahead(permits: int) -> int:
    """How many images are prepared ahead of their permits: a quarter of them, and a few more.

    From the fleet's permits this is the fleet's look-ahead, from a worker's slots the worker's own share.
    """
    return permits // 4 + _LOOK_AHEAD


async def take(
    redis: Redis,
    permit_requests: Sequence[PermitRequest],
    *,
    max_permits: int,
    concurrency: FalConcurrency = UNLIMITED,
) -> list[Permit]:
    """Ask for permits for several images in one step; one reply for each.

    The first in the fair order get those that are free, also before images that other workers have asked for
    within a second.
    """
    replies: list[int] = await _TAKE.packed(redis, max_permits, concurrency, permit_requests)
    return [Permit(reply) for reply in replies]


class _Waiting(msgspec.Struct, frozen=True, order=True, array_like=True):
    """A prepared image of this process: the first in the fair order asks first."""

    place: float
    number: int
    request: PermitRequest
    reply: "asyncio.Future[Permit]"


class PermitQueue:
    """Takes permits for all images of a process, many in one call, and with each permit one of its slots.

    It belongs to one event loop. `notify` it when a permit may have come free. No image asks before a slot is
    free for it, and the first in the fair order ask first: so few slots keep the order too. What waits while
    no permit is free is not `due`.
    """

    def __init__(
        self,
        redis: Redis,
        posts: PostsFirst,
        *,
        max_permits: int,
        slots: int = 100,
        concurrency: FalConcurrency = UNLIMITED,
    ) -> None:
        self._redis = redis
        self._posts = posts
        self._notified = asyncio.Event()
        self._resting = 0
        self._max_permits = max_permits
        self._concurrency = concurrency
        self._free_slots = slots
        self._numbers = itertools.count()
        self._waiting: list[_Waiting] = []
        self._requester: asyncio.Task[None] | None = None

    async def take(self, permit_request: PermitRequest, running: RunningTask) -> None:
        """Wait for a permit and a slot, which `running` holds. The intent is stored with the permit.

        Raises StaleFence, Paused, EndpointRefused, StoreOutage.
        """
        reply: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        place = START_NEXT if running.score >= DUE_AT else running.score
        bisect.insort(self._waiting, _Waiting(place, next(self._numbers), permit_request, reply))
        self.notify()
        if self._requester is None:
            self._requester = asyncio.create_task(self._request_until_empty())
        try:
            permit = await reply
        except asyncio.CancelledError:
            if reply.done() and not reply.cancelled() and reply.result() is Permit.GRANTED:
                self._release_slot()
            raise
        if permit is Permit.STALE:
            raise StaleFence(f"image {permit_request.image_id} is no longer ours")
        if permit is Permit.PAUSED:
            raise Paused
        if permit is Permit.REFUSED:
            raise EndpointRefused
        running.hold_slot(self._release_slot)

    def notify(self) -> None:
        """A permit may have come free: ask for those that wait."""
        self._posts.add(self._resting)
        self._resting = 0
        self._notified.set()

    def close(self) -> None:
        """Stop requesting permits."""
        if self._requester is not None:
            self._requester.cancel()

    def _release_slot(self) -> None:
        self._free_slots += 1
        self.notify()

    async def _request_until_empty(self) -> None:
        try:
            while self._drop_done():
                self._notified.clear()
                batch = self._waiting[: min(_BATCH, self._free_slots)]
                has_all = bool(batch) and await self._request(batch)
                await asyncio.sleep(_GATHERED_S)
                if not has_all:
                    await self._wait_for_notification()
        finally:
            self._requester = None

    def _drop_done(self) -> bool:
        """Whether a task still waits; those that were stopped do not."""
        self._waiting = [one for one in self._waiting if not one.reply.done()]
        return bool(self._waiting)

    async def _request(self, batch: list[_Waiting]) -> bool:
        """Request permits for these images. False when one of them has to go on waiting."""
        try:
            permits = await take(
                self._redis,
                [one.request for one in batch],
                max_permits=self._max_permits,
                concurrency=self._concurrency,
            )
        except Exception as error:  # noqa: BLE001 - every waiting task must receive it
            for one in batch:
                if not one.reply.done():
                    one.reply.set_exception(error)
            return True
        for one, permit in zip(batch, permits, strict=True):
            if permit is not Permit.NONE_FREE and not one.reply.done():
                self._free_slots -= permit is Permit.GRANTED
                one.reply.set_result(permit)
        return Permit.NONE_FREE not in permits

    async def _wait_for_notification(self) -> None:
        if not self._notified.is_set():
            self._resting = len(self._waiting)
            self._posts.add(-self._resting)
        try:
            async with asyncio.timeout(_RETRY_S):
                await self._notified.wait()
        except TimeoutError:
            return
        finally:
            self._posts.add(self._resting)
            self._resting = 0
