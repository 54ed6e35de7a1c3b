"""What a worker hears at once: that a queue has work or a permit came free, and that an image is cancelled.

Who calls it: the process runs one. Nothing depends on it: polls and renewals find the same a little later.
"""

import asyncio
from collections.abc import Mapping

import structlog
from redis.asyncio.client import PubSub

from image2model.store.connection import StoreOutage
from image2model.store.keys import CONTROL, READY, Queue
from image2model.worker.context import WorkerContext
from image2model.worker.dispatch import LeasedWorker

_log = structlog.get_logger("worker.channel")

_LISTEN_S = 5.0
_CANCEL = b"cancel:"


class Channel:
    """One pub/sub connection. `run` until cancelled."""

    def __init__(self, context: WorkerContext, workers: Mapping[Queue, LeasedWorker]) -> None:
        self._context = context
        self._workers = workers
        self._rung = {queue: asyncio.Event() for queue in workers}

    async def run(self) -> None:
        """Listen, and start what the bell announces."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen_forever())
            for queue in self._workers:
                group.create_task(self._answer(queue))

    async def _answer(self, queue: Queue) -> None:
        """Many rings while one pick is under way become one more pick."""
        while True:
            await self._rung[queue].wait()
            self._rung[queue].clear()
            await self._workers[queue].pick()

    async def _listen_forever(self) -> None:
        while True:
            pubsub = self._context.redis.pubsub(ignore_subscribe_messages=True)
            try:
                await pubsub.subscribe(CONTROL, READY)
                await self._listen(pubsub)
            except StoreOutage as error:
                _log.warning("the bell is silent, polling", error=str(error))
                await asyncio.sleep(0.5)
            finally:
                await pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _listen(self, pubsub: PubSub) -> None:
        while True:
            message = await pubsub.get_message(timeout=_LISTEN_S)
            if message is None:
                await pubsub.ping()  # a half-open connection fails here
            elif message["type"] == "message":
                self._hear(message["channel"].decode(), message["data"])

    def _hear(self, channel: str, data: bytes) -> None:
        if channel == READY:
            self._context.permits.bell.set()
            for queue, rung in self._rung.items():
                if queue.value == data.decode():
                    rung.set()
        elif data.startswith(_CANCEL):
            task = self._context.running.get(data.removeprefix(_CANCEL).decode())
            if task is not None:
                task.ask_to_cancel()
