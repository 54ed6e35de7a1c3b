"""One clock for all subscribers: a comment every 15 s, and an end for those who do not read.

Who calls it: the relay runs it. A timer for each client would cost more than the clients do.
"""

import asyncio
import os
import secrets
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import cycle
from types import TracebackType
from typing import Final, Self, TypeVar

import structlog
from redis.asyncio import Redis

from image2model.access import lookup
from image2model.errors import NotFound, StoreUnavailable
from image2model.events import history
from image2model.events.history import Notification
from image2model.events.notifications import Notifications
from image2model.events.subscriber import Subscriber
from image2model.events.topic import NO_VOID, Topic
from image2model.events.topics import JobTopic, OwnerTopic
from image2model.store.connection import StoreOutage, connect_for_pubsub
from image2model.store.identity import StoreIdentity, StoreWatch
from image2model.store.run_id import store_run
from image2model.telemetry.metrics import SSE_SUBSCRIBERS
from image2model.telemetry.unexpected import kept_running

COMMENT_S: Final = 15.0
_TICK_S: Final = 0.05
"""Short, so that the comments of a crowd do not hold up an event."""


class KeepAlive:
    """A wheel of slots, each of which has its turn once in `comment_s`; `writers` are those being sent to."""

    def __init__(self, *, send_timeout_s: float, comment_s: float = COMMENT_S) -> None:
        self.writers: set[Subscriber] = set()
        self._send_timeout_s = send_timeout_s
        self._slots: list[set[Subscriber]] = [set() for _ in range(max(1, round(comment_s / _TICK_S)))]
        self._next_slot: Iterator[int] = cycle(range(len(self._slots)))

    def add(self, subscriber: Subscriber) -> None:
        """Take part: evenly over the slots, so that a crowd that came at once is not sent to at once."""
        subscriber.slot = next(self._next_slot)
        self._slots[subscriber.slot].add(subscriber)

    def remove(self, subscriber: Subscriber) -> None:
        """Take part no longer."""
        self._slots[subscriber.slot].discard(subscriber)

    def everybody(self) -> list[Subscriber]:
        """All who take part."""
        return [subscriber for slot in self._slots for subscriber in slot]

    async def run(self) -> None:
        """Tick until cancelled."""
        for slot in cycle(self._slots):
            await asyncio.sleep(_TICK_S)
            self._cut_stuck()
            for subscriber in list(slot):
                subscriber.ping()

    def _cut_stuck(self) -> None:
        limit = time.monotonic() - self._send_timeout_s
        for subscriber in [s for s in self.writers if s.writing_since < limit]:
            subscriber.cut()


_log: Final = structlog.stdlib.get_logger(__name__)

_CHECK_S: Final = 5.0
_CHECK_BATCH: Final = 200
_READS: Final = 16
_ASK_AGAIN_S: Final = 0.05
_VOID_KEPT: Final = 10_000
"""Topics of which it is remembered that the store went back behind what clients were sent."""

_T = TypeVar("_T", bound=Topic)


class EventRelay:
    """An async context manager. `redis` is the process's own client; the pub/sub connection is made here.

    `send_timeout_s`: a client that does not read for so long is cut off. `comment_s`: a comment so often.
    `on_hopeless`: called when one of its loops has failed again and again, so that no stream goes on.
    """

    def __init__(
        self,
        redis: Redis,
        redis_url: str,
        *,
        send_timeout_s: float = 10.0,
        comment_s: float = COMMENT_S,
        on_hopeless: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_hopeless = on_hopeless
        self._redis = redis
        self._pubsub_redis = connect_for_pubsub(redis_url)
        self._keep_alive = KeepAlive(send_timeout_s=send_timeout_s, comment_s=comment_s)
        self._store = StoreWatch(
            redis, f"api-{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"
        )
        self._notifications = Notifications(self._pubsub_redis, self._store, self._notified, self._connected)
        self._gate = asyncio.Semaphore(_READS)
        self._jobs: dict[str, JobTopic] = {}
        self._owners: dict[str, OwnerTopic] = {}
        self._check_now = asyncio.Event()
        self._heard_of: StoreIdentity | None = None
        self._void: OrderedDict[str, int] = OrderedDict()
        self._runs = (store_run(redis), store_run(self._pubsub_redis))
        for run in self._runs:
            run.on_change(self._new_run)
        self._tasks: list[asyncio.Task[None]] = []
        self.closing = False

    async def __aenter__(self) -> Self:
        """Raises StoreOutage, and ConfigurationError for a store that a newer release writes."""
        await self._store.refresh()
        loops = {
            "store": self._store.run,
            "bells": self._notifications.run,
            "pulse": self._keep_alive.run,
            "checks": self._check_for_ever,
        }
        self._tasks = [asyncio.create_task(kept_running(name, loop)) for name, loop in loops.items()]
        for task in self._tasks:
            task.add_done_callback(self._ended)
        return self

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and task.exception() is not None:
            self._on_hopeless()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_streams()
        await _end(self._tasks)
        await self._pubsub_redis.aclose()

    def close_streams(self) -> None:
        """End every stream at once, in good order; no new one begins. Clients come back elsewhere."""
        self.closing = True
        self._notifications.give_up()
        for subscriber in self._keep_alive.everybody():
            subscriber.end()

    @property
    def writers(self) -> set[Subscriber]:
        """Where a subscriber says that it is being written to."""
        return self._keep_alive.writers

    def attach(self, subscriber: Subscriber) -> None:
        """Let a subscriber have comments, and an end when it does not read."""
        self._keep_alive.add(subscriber)
        SSE_SUBSCRIBERS.inc()
        if self.closing:
            subscriber.end()

    def detach(self, subscriber: Subscriber) -> None:
        """Its connection is gone."""
        self._keep_alive.remove(subscriber)
        SSE_SUBSCRIBERS.dec()
        subscriber.close()

    async def join_job(self, job_id: str, owner: str) -> Topic:
        """The job's topic; `leave` it afterwards. Raises NotFound (also where it is another's), Expired."""
        topic = _usable(self._jobs.get(job_id))
        if topic is None:
            await lookup.access(self._redis, owner, job_id)
        elif topic.owner != owner:
            raise NotFound("There is no such job.")
        topic = _usable(self._jobs.get(job_id)) or self._new(JobTopic(self._redis, owner, self._gate, job_id))
        self._jobs[job_id] = topic
        return await self._join(topic)

    async def join_owner(self, owner: str) -> Topic:
        """The topic of all of an owner's jobs; `leave` it afterwards."""
        topic = _usable(self._owners.get(owner)) or self._new(OwnerTopic(self._redis, owner, self._gate))
        self._owners[owner] = topic
        return await self._join(topic)

    def _new(self, topic: _T) -> _T:
        topic.void = self._void.get(topic.name, NO_VOID)
        return topic

    def leave(self, topic: Topic) -> None:
        """Whoever joined does not need it any more; with the last one it is forgotten."""
        self._notifications.drop(topic.owner)
        topic.uses -= 1
        if not topic.uses:
            topic.close()
            self._forget(topic)

    async def _join(self, topic: Topic) -> Topic:
        topic.uses += 1
        self._notifications.want(topic.owner)
        try:
            await self._started(topic)
        except BaseException:
            self.leave(topic)
            raise
        return topic

    async def _started(self, topic: Topic) -> None:
        """Subscribe first, then read: what happens in between is heard."""
        async with topic.starting:
            if topic.started:
                return
            try:
                await self._notifications.listening(topic.owner)
            except TimeoutError:
                raise StoreUnavailable.after(
                    "The store does not answer. Try again in a few seconds.", 2
                ) from None
            await topic.start()

    def _notified(self, owner: str, notification: Notification) -> None:
        job_topic, owner_topic = self._jobs.get(notification.job_id), self._owners.get(owner)
        if notification.kind == "deleted":
            if job_topic is not None:
                job_topic.end()
            return
        if job_topic is None and owner_topic is None:
            return
        event = notification.event
        if job_topic is not None:
            job_topic.notify(notification.version, event)
        if owner_topic is not None:
            owner_topic.notify(notification.seq, event)

    def _forget(self, topic: Topic) -> None:
        """Whoever asks from now on begins afresh, with what the store says."""
        if self._jobs.get(topic.name) is topic:
            del self._jobs[topic.name]
        if self._owners.get(topic.name) is topic:
            del self._owners[topic.name]

    def _connected(self) -> None:
        """Heard again: after a lost connection, or since the same server holds another store."""
        if self._heard_of not in (None, self._store.identity):
            self._new_run()
        self._heard_of = self._store.identity
        self._check_now.set()

    def _new_run(self) -> None:
        """Another server answers as the store: it may hold less than was passed on, or something else."""
        for topic in self._topics():
            topic.doubt()
        self._check_now.set()

    def _topics(self) -> list[Topic]:
        return [*self._jobs.values(), *self._owners.values()]

    async def _check_for_ever(self) -> None:
        """Compare with the streams: at once when the bells are heard again, and now and then in any case."""
        while not self.closing:  # redis-py may swallow the cancellation that comes with it
            with suppress(TimeoutError):  # nothing rang: the slow check
                async with asyncio.timeout(_CHECK_S):
                    await self._check_now.wait()
            self._check_now.clear()
            try:
                await self._check()
            except StoreOutage as error:
                _log.info("events_not_checked", error=str(error))

    async def _check(self) -> None:
        await self._hear_the_same_server()
        topics = self._topics()
        for start in range(0, len(topics), _CHECK_BATCH):
            await self._check_some(
                [t for t in topics[start : start + _CHECK_BATCH] if t.started and not t.ended]
            )

    async def _hear_the_same_server(self) -> None:
        """After a failover the old primary may live on for a while, and its bells ring for what is void."""
        read, heard = (run.current for run in self._runs)
        if read and heard and read != heard:
            await self._pubsub_redis.connection_pool.disconnect()

    async def _settle(self, topic: Topic) -> None:
        await topic.settle()
        if topic.void != NO_VOID:
            self._void[topic.name] = topic.void
            while len(self._void) > _VOID_KEPT:
                self._void.popitem(last=False)

    async def _check_some(self, topics: list[Topic]) -> None:
        await asyncio.gather(*(self._settle(topic) for topic in topics if topic.doubted))
        of_jobs = [topic for topic in topics if isinstance(topic, JobTopic)]
        of_owners = [topic for topic in topics if isinstance(topic, OwnerTopic)]
        before = [topic.position for topic in (*of_jobs, *of_owners)]
        versions, seqs = await history.latest(
            self._redis, [topic.job_id for topic in of_jobs], [topic.owner for topic in of_owners]
        )
        for topic, position, latest in zip((*of_jobs, *of_owners), before, (*versions, *seqs), strict=True):
            topic.check(position, latest)
        await asyncio.gather(*(self._settle(topic) for topic in topics if topic.doubted))


def _usable(topic: _T | None) -> _T | None:
    """The topic, unless its streams have been ended: whoever comes now begins afresh."""
    return None if topic is None or topic.ended else topic


async def _end(tasks: list["asyncio.Task[None]"]) -> None:
    """Cancel them until all have ended: Python 3.11's `wait_for`, in which redis-py sends, swallows a
    cancellation that arrives together with its result (bpo-37658).
    """
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=_ASK_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)
