"""Receives pub/sub notifications: a queue has a task, a permit came free, an image was cancelled, or the
catalogue changed.

They only save time. A lost notification loses nothing: polls and lease renewals find the same a little later.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

import structlog
from redis.asyncio.client import PubSub

from image2model.errors import ConfigurationError
from image2model.queue.context import QueueContext
from image2model.queue.dispatch import LeasedWorker
from image2model.store.connection import StoreOutage, connect_for_pubsub, reach_subscribed
from image2model.store.data_versions import LATEST
from image2model.store.identity import StoreIdentity, StoreWatch
from image2model.store.keys import SHARED_CHANNELS, Queue

_log = structlog.get_logger(__name__)

_LISTEN_S = 1.0
_SILENCE_S = 10.0
"""A connection that is asked something each `_LISTEN_S` has said nothing for so long: it is half open."""
_GATHERED_S = 0.01
"""After a pick, before the next one. Each image that ends sends a notification: a wave of them would lead to
as many picks, and most of these would find nothing."""
_MORE_GATHERED_S = 0.0002
"""So much longer for each running task: the more run, the larger are the waves. The look-ahead bridges it."""
_MESSAGES = ("message", "pmessage")
_CANCEL = b"cancel:"
_CATALOGUE = SHARED_CHANNELS.catalogue.removeprefix(SHARED_CHANNELS.prefix)
_READY = SHARED_CHANNELS.ready.removeprefix(SHARED_CHANNELS.prefix)


class NotificationListener:
    """One pub/sub connection of a worker process. `run` until cancelled.

    `on_catalogue` is called when the catalogue may have changed. Under `worker_id` the process is woken while
    it has no tasks (`waking`).
    """

    def __init__(
        self,
        context: QueueContext,
        workers: Mapping[Queue, LeasedWorker],
        store: StoreWatch,
        on_catalogue: Callable[[], None],
        *,
        worker_id: str,
    ) -> None:
        redis_url = context.settings.redis_url
        assert redis_url is not None  # noqa: S101 - a worker is not started without
        self._redis = connect_for_pubsub(redis_url)
        self._worker_id = worker_id
        self._on_catalogue = on_catalogue
        self._context = context
        self._workers = workers
        self._store = store
        self._notified = {queue: asyncio.Event() for queue in workers}

    async def run(self) -> None:
        """Listen, and pick from the queues that notifications name."""
        async with self._redis, asyncio.TaskGroup() as group:
            group.create_task(self._listen_forever())
            group.create_task(self._pick_in_turn())
            for queue in self._workers:
                group.create_task(self._pick_when_notified(queue))

    async def _pick_when_notified(self, queue: Queue) -> None:
        """Notifications that arrive during a pick, or right after it, lead to a single further pick."""
        while True:
            await self._notified[queue].wait()
            self._notified[queue].clear()
            await self._workers[queue].pick()
            await asyncio.sleep(_GATHERED_S + len(self._context.running) * _MORE_GATHERED_S)

    async def _pick_in_turn(self) -> None:
        """Pick with the fleet's upkeep too: whoever was woken for a task may hang."""
        turn = self._context.activity.turn
        while True:
            await turn.wait()
            turn.clear()
            if not self._context.waking.hears_all:
                for notified in self._notified.values():
                    notified.set()

    def _pick_from_all(self) -> None:
        for queue, worker in self._workers.items():
            worker.forget_registration()
            self._notified[queue].set()

    async def _listen_forever(self) -> None:
        while True:
            pubsub = self._redis.pubsub()
            try:
                identity = await self._store.refresh()
                async with asyncio.timeout(_SILENCE_S):
                    await _subscribe(pubsub, identity, self._worker_id)
                self._context.waking.hears_all = True
                self._catch_up()
                joining = asyncio.create_task(self._join_when_busy(pubsub, identity))
                try:
                    await self._listen(pubsub, identity, joining)
                finally:
                    joining.cancel()
                    await asyncio.wait([joining])
            except (StoreOutage, TimeoutError, ConfigurationError) as error:
                _log.warning("notifications_not_received", error=repr(error))
                await asyncio.sleep(0.5)
            finally:
                await _close(pubsub)

    def _catch_up(self) -> None:
        """Messages may have been lost: look at everything that they could have told."""
        self._on_catalogue()
        self._context.permits.notify()
        self._context.activity.notice()
        self._pick_from_all()

    async def _join_when_busy(self, pubsub: PubSub, identity: StoreIdentity) -> None:
        """Hear every notification again, as soon as this process has a task. Raises StoreOutage and
        TimeoutError."""
        wanted = self._context.waking.wanted
        while True:
            await wanted.wait()
            wanted.clear()
            async with asyncio.timeout(_SILENCE_S):
                await pubsub.subscribe(identity.own_channels.ready)

    async def _listen(self, pubsub: PubSub, identity: StoreIdentity, joining: "asyncio.Task[None]") -> None:
        """Returns when the store becomes another one, or its data version changes. Raises StoreOutage,
        TimeoutError, and what `joining` raised."""
        channels = identity.own_channels
        woken = channels.woken(self._worker_id)
        is_leaving = False
        heard_at = time.monotonic()
        while self._store.identity == identity:
            message = await pubsub.get_message(timeout=_LISTEN_S)
            if joining.done():
                joining.result()
            if message is None:
                if time.monotonic() - heard_at > _SILENCE_S:
                    raise TimeoutError("a half-open connection")
                await reach_subscribed(pubsub, channels.control)
                continue
            heard_at = time.monotonic()
            if message["type"] in _MESSAGES:
                self._receive(message["channel"].decode(), message["data"], woken)
            elif message["channel"].decode() == channels.ready:
                is_leaving = False
                self._join_or_leave(joined=message["type"] == "subscribe")
            # processes of an earlier release wake nobody: they notify all
            if not is_leaving and identity.version == LATEST and self._may_rest():
                is_leaving = True
                await pubsub.unsubscribe(channels.ready)

    def _may_rest(self) -> bool:
        return self._context.waking.may_rest(len(self._context.running))

    def _join_or_leave(self, *, joined: bool) -> None:
        """From here on every notification arrives, or none: what came before is looked at, and who hears none
        registers."""
        self._context.waking.hears_all = joined
        if joined:
            self._context.permits.notify()
        elif len(self._context.running):
            self._context.waking.note_task()
        self._pick_from_all()

    def _receive(self, channel: str, data: bytes, woken: str) -> None:
        if channel == woken:
            queue = Queue(data.decode())
            if queue in self._workers:
                self._workers[queue].forget_registration()
                self._notified[queue].set()
        elif channel.endswith(_READY):
            self._context.permits.notify()
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


async def _close(pubsub: PubSub) -> None:
    try:
        async with asyncio.timeout(_SILENCE_S):
            await pubsub.aclose()
    except (StoreOutage, TimeoutError) as error:
        _log.info("notifications_not_closed", error=repr(error))


async def _subscribe(pubsub: PubSub, identity: StoreIdentity, worker_id: str) -> None:
    """Subscribe to the shared channels by pattern: who subscribes by name is counted as a worker of
    8adfc9c."""
    own, *others = identity.subscribed_channels
    await pubsub.subscribe(own.control, own.ready, own.catalogue, own.woken(worker_id))
    for channels in others:
        await pubsub.psubscribe(channels.control, channels.ready, channels.catalogue)
