"""Receives pub/sub notifications: a queue has a task, a permit came free, an image was cancelled, or the
catalogue changed.

They only save time. A lost notification loses nothing: polls and lease renewals find the same a little later.
"""

import asyncio
from collections.abc import Callable, Mapping

import structlog
from redis.asyncio.client import PubSub

from image2model.errors import ConfigurationError
from image2model.queue.context import QueueContext
from image2model.queue.dispatch import LeasedWorker
from image2model.store.connection import StoreOutage, reach_subscribed
from image2model.store.identity import StoreIdentity, StoreWatch
from image2model.store.keys import SHARED_CHANNELS, Queue

_log = structlog.get_logger(__name__)

_LISTEN_S = 1.0
_MESSAGES = ("message", "pmessage")
_CANCEL = b"cancel:"
_CATALOGUE = SHARED_CHANNELS.catalogue.removeprefix(SHARED_CHANNELS.prefix)
_READY = SHARED_CHANNELS.ready.removeprefix(SHARED_CHANNELS.prefix)


class NotificationListener:
    """One pub/sub connection of a worker process. `run` until cancelled.

    `on_catalogue` is called when the catalogue may have changed.
    """

    def __init__(
        self,
        context: QueueContext,
        workers: Mapping[Queue, LeasedWorker],
        store: StoreWatch,
        on_catalogue: Callable[[], None],
    ) -> None:
        self._on_catalogue = on_catalogue
        self._context = context
        self._workers = workers
        self._store = store
        self._notified = {queue: asyncio.Event() for queue in workers}

    async def run(self) -> None:
        """Listen, and pick from the queues that notifications name."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen_forever())
            for queue in self._workers:
                group.create_task(self._pick_when_notified(queue))

    async def _pick_when_notified(self, queue: Queue) -> None:
        """Notifications that arrive during one pick lead to a single further pick."""
        while True:
            await self._notified[queue].wait()
            self._notified[queue].clear()
            await self._workers[queue].pick()

    async def _listen_forever(self) -> None:
        while True:
            pubsub = self._context.redis.pubsub()
            try:
                identity = await self._store.refresh()
                await _subscribe(pubsub, identity)
                self._catch_up()
                await self._listen(pubsub, identity)
            except (StoreOutage, ConfigurationError) as error:
                _log.warning("notifications_not_received", error=str(error))
                await asyncio.sleep(0.5)
            finally:
                await pubsub.aclose()

    def _catch_up(self) -> None:
        """Messages may have been lost: look at everything that they could have told."""
        self._on_catalogue()
        self._context.permits.notification.set()
        self._context.activity.notice()
        for notified in self._notified.values():
            notified.set()

    async def _listen(self, pubsub: PubSub, identity: StoreIdentity) -> None:
        """Returns when the store becomes another one, or its data version changes."""
        while self._store.identity == identity:
            message = await pubsub.get_message(timeout=_LISTEN_S)
            if message is None:
                # fails on a half-open connection
                await reach_subscribed(pubsub, identity.own_channels.ready)
            elif message["type"] in _MESSAGES:
                self._receive(message["channel"].decode(), message["data"])

    def _receive(self, channel: str, data: bytes) -> None:
        if channel.endswith(_READY):
            self._context.permits.notification.set()
            self._context.activity.notice()
            for queue, notified in self._notified.items():
                if queue.value == data.decode():
                    notified.set()
        elif channel.endswith(_CATALOGUE):
            self._on_catalogue()
        elif data.startswith(_CANCEL):
            task = self._context.running.get(data.removeprefix(_CANCEL).decode())
            if task is not None:
                task.request_cancel()


async def _subscribe(pubsub: PubSub, identity: StoreIdentity) -> None:
    """Subscribe to the shared channels by pattern: who subscribes by name is counted as a worker of
    8adfc9c."""
    own, *others = identity.subscribed_channels
    await pubsub.subscribe(own.control, own.ready, own.catalogue)
    for channels in others:
        await pubsub.psubscribe(channels.control, channels.ready, channels.catalogue)
