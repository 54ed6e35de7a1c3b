"""What a worker hears at once: that a queue has work or a permit came free, and that an image is cancelled.

Who calls it: the process runs one. Nothing depends on it: polls and renewals find the same a little later.
"""

import asyncio
from collections.abc import Mapping

import structlog
from redis.asyncio.client import PubSub

from image2model.errors import ConfigurationError
from image2model.queue.context import QueueContext
from image2model.queue.dispatch import LeasedWorker
from image2model.store.connection import StoreOutage, reach_subscribed
from image2model.store.identity import StoreIdentity, StoreWatch
from image2model.store.keys import SHARED_CHANNELS, Queue

_log = structlog.get_logger("worker.channel")

_LISTEN_S = 1.0
_MESSAGES = ("message", "pmessage")
_CANCEL = b"cancel:"
_READY = SHARED_CHANNELS.ready.removeprefix(SHARED_CHANNELS.prefix)


class Channel:
    """One pub/sub connection. `run` until cancelled."""

    def __init__(
        self, context: QueueContext, workers: Mapping[Queue, LeasedWorker], store: StoreWatch
    ) -> None:
        self._context = context
        self._workers = workers
        self._store = store
        self._notified = {queue: asyncio.Event() for queue in workers}

    async def run(self) -> None:
        """Listen, and start what the bell announces."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen_forever())
            for queue in self._workers:
                group.create_task(self._answer(queue))

    async def _answer(self, queue: Queue) -> None:
        """Many rings while one pick is under way become one more pick."""
        while True:
            await self._notified[queue].wait()
            self._notified[queue].clear()
            await self._workers[queue].pick()

    async def _listen_forever(self) -> None:
        while True:
            pubsub = self._context.redis.pubsub()
            try:
                head = await self._store.look()
                await _subscribe(pubsub, head)
                await self._listen(pubsub, head)
            except (StoreOutage, ConfigurationError) as error:
                _log.warning("notifications_not_received", error=str(error))
                await asyncio.sleep(0.5)
            finally:
                await pubsub.aclose()

    async def _listen(self, pubsub: PubSub, head: StoreIdentity) -> None:
        """Until the store is another, or has another version."""
        while self._store.head == head:
            message = await pubsub.get_message(timeout=_LISTEN_S)
            if message is None:
                await reach_subscribed(pubsub, head.own_channels.ready)  # a half-open connection fails here
            elif message["type"] in _MESSAGES:
                self._hear(message["channel"].decode(), message["data"])

    def _hear(self, channel: str, data: bytes) -> None:
        if channel.endswith(_READY):
            self._context.permits.notification.set()
            for queue, notified in self._notified.items():
                if queue.value == data.decode():
                    notified.set()
        elif data.startswith(_CANCEL):
            task = self._context.running.get(data.removeprefix(_CANCEL).decode())
            if task is not None:
                task.request_cancel()


async def _subscribe(pubsub: PubSub, head: StoreIdentity) -> None:
    """The channels of 8adfc9c by pattern: who subscribes to them by name is counted as one of its workers."""
    own, *others = head.subscribed_channels
    await pubsub.subscribe(own.control, own.ready)
    for channels in others:
        await pubsub.psubscribe(channels.control, channels.ready)
