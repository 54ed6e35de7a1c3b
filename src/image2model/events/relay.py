"""The event relay of a process: brings events from the store to all topics, and keeps idle streams alive.

One pub/sub connection serves all streams. Every few seconds, and whenever that connection is new or another
store server answers, the relay compares its topics with the store, so no event stays unseen. One timer serves
all keep-alive comments and send timeouts, because a timer for each client would cost more than the clients
do.
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
from image2model.events.topic import NOTHING_INVALID, Topic
from image2model.events.topic_kinds import JobTopic, OwnerTopic
from image2model.store.connection import StoreOutage, connect_for_pubsub
from image2model.store.identity import StoreIdentity, StoreWatch
from image2model.store.run_id import store_run
from image2model.telemetry.metrics import SSE_SUBSCRIBERS
from image2model.telemetry.unexpected import keep_running

_log: Final = structlog.stdlib.get_logger(__name__)
COMMENT_S: Final = 15.0
_TICK_S: Final = 0.05
"""Short, so that the comments to thousands of clients do not delay an event."""
_CHECK_S: Final = 5.0
_CHECK_BATCH: Final = 200
_READS: Final = 16
_CANCEL_AGAIN_S: Final = 0.05
_INVALID_KEPT: Final = 10_000
"""Topics for which the relay remembers that a rollback made sent ids invalid."""
_T = TypeVar("_T", bound=Topic)


class EventRelay:
    """An async context manager. `redis` is the process's own client; the pub/sub connection is made here.

    `send_timeout_s`: a client that does not read for so long is disconnected. `comment_s`: seconds between
    comments. `on_failed` is called when a loop of the relay keeps failing, so that streams cannot continue;
    `on_catalogue` when the store says that the catalogue of models may have changed.
    """

    def __init__(
        self,
        redis: Redis,
        redis_url: str,
        *,
        send_timeout_s: float = 10.0,
        comment_s: float = COMMENT_S,
        on_failed: Callable[[], None] = lambda: None,
        on_catalogue: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_failed = on_failed
        self._redis = redis
        self._pubsub_redis = connect_for_pubsub(redis_url)
        self._keep_alive = KeepAlive(send_timeout_s=send_timeout_s, comment_s=comment_s)
        self._store = StoreWatch(
            redis, f"api-{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"
        )
        self._notifications = Notifications(
            self._pubsub_redis, self._store, self._on_notification, self._on_connected, on_catalogue
        )
        self._gate = asyncio.Semaphore(_READS)
        self._jobs: dict[str, JobTopic] = {}
        self._owners: dict[str, OwnerTopic] = {}
        self._check_now = asyncio.Event()
        self._subscribed_to: StoreIdentity | None = None
        self._invalid_upto: OrderedDict[str, int] = OrderedDict()
        self._runs = (store_run(redis), store_run(self._pubsub_redis))
        for run in self._runs:
            run.on_change(self._on_new_run)
        self._tasks: list[asyncio.Task[None]] = []
        self.closing = False

    async def __aenter__(self) -> Self:
        """Raises StoreOutage, and ConfigurationError for a store that a newer release has written."""
        await self._store.refresh()
        loops = {
            "store": self._store.run,
            "event_notifications": self._notifications.run,
            "keep_alive": self._keep_alive.run,
            "checks": self._check_periodically,
        }
        self._tasks = [asyncio.create_task(keep_running(name, loop)) for name, loop in loops.items()]
        for task in self._tasks:
            task.add_done_callback(self._on_loop_end)
        return self

    def _on_loop_end(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and task.exception() is not None:
            self._on_failed()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_streams()
        await _cancel(self._tasks)
        await self._pubsub_redis.aclose()

    def close_streams(self) -> None:
        """End every stream properly and begin no new one. Clients reconnect to another process."""
        self.closing = True
        self._notifications.stop_waiting()
        for subscriber in self._keep_alive.subscribers():
            subscriber.end()
        for topic in list(self._jobs.values()):
            topic.end()  # for the requests that wait for the end of a job

    @property
    def writers(self) -> set[Subscriber]:
        """The subscribers that are being written to."""
        return self._keep_alive.writers

    def attach(self, subscriber: Subscriber) -> None:
        """Begin keep-alive comments and the send timeout for a subscriber."""
        self._keep_alive.add(subscriber)
        SSE_SUBSCRIBERS.inc()
        if self.closing:
            subscriber.end()

    def detach(self, subscriber: Subscriber) -> None:
        """The subscriber's connection is closed."""
        self._keep_alive.remove(subscriber)
        SSE_SUBSCRIBERS.dec()
        subscriber.close()

    async def join_job(self, job_id: str, owner: str) -> Topic:
        """Join the job's topic; `leave` it afterwards. Raises NotFound, Expired, StoreUnavailable."""
        topic = _usable(self._jobs.get(job_id))
        if topic is None:
            await lookup.access(self._redis, owner, job_id)
        elif topic.owner != owner:
            raise NotFound("There is no such job.")
        topic = _usable(self._jobs.get(job_id)) or self._new(JobTopic(self._redis, owner, self._gate, job_id))
        self._jobs[job_id] = topic
        return await self._join(topic)

    async def join_owner(self, owner: str) -> Topic:
        """Join the topic of all jobs of an owner; `leave` it afterwards."""
        topic = _usable(self._owners.get(owner)) or self._new(OwnerTopic(self._redis, owner, self._gate))
        self._owners[owner] = topic
        return await self._join(topic)

    def _new(self, topic: _T) -> _T:
        topic.invalid_upto = self._invalid_upto.get(topic.name, NOTHING_INVALID)
        return topic

    def leave(self, topic: Topic) -> None:
        """Undo one join; a topic that nobody uses is dropped."""
        self._notifications.unsubscribe(topic.owner)
        topic.uses -= 1
        if not topic.uses:
            topic.close()
            self._forget(topic)

    async def _join(self, topic: Topic) -> Topic:
        topic.uses += 1
        self._notifications.subscribe(topic.owner)
        try:
            await self._ensure_started(topic)
        except BaseException:
            self.leave(topic)
            raise
        return topic

    async def _ensure_started(self, topic: Topic) -> None:
        """Subscribe first, then read, so that no event in between is missed."""
        async with topic.starting:
            if topic.started:
                return
            try:
                await self._notifications.wait_until_subscribed(topic.owner)
            except TimeoutError:
                raise StoreUnavailable.after(
                    "The store does not answer. Try again in a few seconds.", 2
                ) from None
            await topic.start()

    def _on_notification(self, owner: str, notification: Notification) -> None:
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
        """Later streams get a new topic, which begins with the state of the store."""
        if self._jobs.get(topic.name) is topic:
            del self._jobs[topic.name]
        if self._owners.get(topic.name) is topic:
            del self._owners[topic.name]

    def _on_connected(self) -> None:
        """Subscribed again, after a lost connection or because the server holds another store."""
        if self._subscribed_to not in (None, self._store.identity):
            self._on_new_run()
        self._subscribed_to = self._store.identity
        self._check_now.set()

    def _on_new_run(self) -> None:
        """Another store server answers: it may hold fewer events than were passed on, or different ones."""
        for topic in self._topics():
            topic.require_verification()
        self._check_now.set()

    def _topics(self) -> list[Topic]:
        return [*self._jobs.values(), *self._owners.values()]

    async def _check_periodically(self) -> None:
        """Compare with history: at once after a new subscription, and every `_CHECK_S` seconds."""
        while not self.closing:  # redis-py may swallow the cancellation that comes with it
            with suppress(TimeoutError):  # no request for a check: the regular one
                async with asyncio.timeout(_CHECK_S):
                    await self._check_now.wait()
            self._check_now.clear()
            try:
                await self._check()
            except StoreOutage as error:
                _log.info("events_not_checked", error=str(error))

    async def _check(self) -> None:
        await self._follow_the_same_server()
        topics = self._topics()
        for start in range(0, len(topics), _CHECK_BATCH):
            await self._check_some(
                [t for t in topics[start : start + _CHECK_BATCH] if t.started and not t.ended]
            )

    async def _follow_the_same_server(self) -> None:
        """After a failover the old primary may run on for a while: drop its notifications."""
        read, subscribed = (run.current for run in self._runs)
        if read and subscribed and read != subscribed:
            await self._pubsub_redis.connection_pool.disconnect()

    async def _verify(self, topic: Topic) -> None:
        await topic.verify()
        if topic.invalid_upto != NOTHING_INVALID:
            self._invalid_upto[topic.name] = topic.invalid_upto
            while len(self._invalid_upto) > _INVALID_KEPT:
                self._invalid_upto.popitem(last=False)

    async def _check_some(self, topics: list[Topic]) -> None:
        await asyncio.gather(*(self._verify(topic) for topic in topics if topic.unverified))
        of_jobs = [topic for topic in topics if isinstance(topic, JobTopic)]
        of_owners = [topic for topic in topics if isinstance(topic, OwnerTopic)]
        before = [topic.position for topic in (*of_jobs, *of_owners)]
        versions, seqs = await history.latest(
            self._redis, [topic.job_id for topic in of_jobs], [topic.owner for topic in of_owners]
        )
        for topic, position, latest in zip((*of_jobs, *of_owners), before, (*versions, *seqs), strict=True):
            topic.check(position, latest)
        await asyncio.gather(*(self._verify(topic) for topic in topics if topic.unverified))


class KeepAlive:
    """A timer wheel: each slot has its turn once in `comment_s`. `writers` are being written to."""

    def __init__(self, *, send_timeout_s: float, comment_s: float = COMMENT_S) -> None:
        self.writers: set[Subscriber] = set()
        self._send_timeout_s = send_timeout_s
        self._slots: list[set[Subscriber]] = [set() for _ in range(max(1, round(comment_s / _TICK_S)))]
        self._next_slot: Iterator[int] = cycle(range(len(self._slots)))

    def add(self, subscriber: Subscriber) -> None:
        """Add a subscriber to the next slot, so that clients who came together are spread over the wheel."""
        subscriber.slot = next(self._next_slot)
        self._slots[subscriber.slot].add(subscriber)

    def remove(self, subscriber: Subscriber) -> None:
        """Remove a subscriber."""
        self._slots[subscriber.slot].discard(subscriber)

    def subscribers(self) -> list[Subscriber]:
        """All subscribers."""
        return [subscriber for slot in self._slots for subscriber in slot]

    async def run(self) -> None:
        """Tick until cancelled."""
        for slot in cycle(self._slots):
            await asyncio.sleep(_TICK_S)
            self._cut_stalled()
            for subscriber in list(slot):
                subscriber.ping()

    def _cut_stalled(self) -> None:
        limit = time.monotonic() - self._send_timeout_s
        for subscriber in [s for s in self.writers if s.writing_since < limit]:
            subscriber.cut()


def _usable(topic: _T | None) -> _T | None:
    """The topic, unless its streams have ended: a new stream needs a new topic."""
    return None if topic is None or topic.ended else topic


async def _cancel(tasks: list["asyncio.Task[None]"]) -> None:
    """Cancel the tasks until all have ended: Python 3.11's `wait_for`, in which redis-py sends, swallows a
    cancellation that arrives together with its result (bpo-37658).
    """
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=_CANCEL_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)
