"""Receives the notifications of the subscribed owners over the process's one pub/sub connection.

A lost message or connection loses no event: history is the truth, and `on_connected` makes the relay
compare with it. redis-py loses subscriptions when several tasks subscribe at once, so a single task changes
them, one change at a time, and waits for each confirmation. redis-py's own reconnect is off, because it would
not report that messages were lost.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from image2model.errors import ConfigurationError
from image2model.events.history import Notification, read_notification
from image2model.store.connection import StoreOutage, reach_subscribed
from image2model.store.identity import StoreIdentity, StoreWatch
from image2model.store.keys import SHARED_CHANNELS, Channels

_log: Final = structlog.stdlib.get_logger(__name__)

CONFIRM_S: Final = 5.0
"""Seconds that a subscription may take to be confirmed."""
_PING_S: Final = 3.0
_SILENCE_S: Final = 10.0
_BACKOFF_S: Final = (0.05, 1.0)
_SYNC_BATCH: Final = 500
_CATALOGUE: Final = SHARED_CHANNELS.catalogue.removeprefix(SHARED_CHANNELS.prefix)
_NO_OWNER: Final = ""
"""The owner whose channel keeps the connection in subscribed mode when no owner is subscribed to."""


class _StoreChanged(Exception):
    """The store is another one or has another version, so its channels have other names."""


class Notifications:
    """Subscriptions are counted: `subscribe` and `unsubscribe` come in pairs. `store` knows the channels.

    `on_notification(owner, notification)` is called for each message, `on_connected()` whenever a new
    connection has subscribed to all wanted owners, and `on_catalogue()` when the catalogue may have changed.
    """

    def __init__(
        self,
        redis: Redis,
        store: StoreWatch,
        on_notification: Callable[[str, Notification], None],
        on_connected: Callable[[], None],
        on_catalogue: Callable[[], None] = lambda: None,
    ) -> None:
        self._redis = redis
        self._store = store
        self._channels: tuple[Channels, ...] = ()
        self._on_notification = on_notification
        self._on_connected = on_connected
        self._on_catalogue = on_catalogue
        self._wanted: dict[str, int] = {}
        self._ready: dict[str, asyncio.Event] = {}
        self._subscribed: set[str] = set()
        self._changed = asyncio.Event()
        self._unconfirmed: set[str] = set()
        self._confirmed = asyncio.Event()
        self._last_sign = 0.0
        self._timeouts: set[asyncio.Timeout] = set()
        self._stopping = False

    def subscribe(self, owner: str) -> None:
        """Receive an owner's notifications soon; `wait_until_subscribed` returns when that is so."""
        self._wanted[owner] = self._wanted.get(owner, 0) + 1
        self._ready.setdefault(owner, asyncio.Event())
        self._changed.set()

    def unsubscribe(self, owner: str) -> None:
        """Undo one `subscribe`."""
        self._wanted[owner] -= 1
        if not self._wanted[owner]:
            del self._wanted[owner]
            self._changed.set()

    async def wait_until_subscribed(self, owner: str) -> None:
        """Return when the owner is subscribed to. Raises TimeoutError, at once after `stop_waiting`."""
        async with asyncio.timeout(0 if self._stopping else CONFIRM_S) as limit:
            self._timeouts.add(limit)
            try:
                await self._ready[owner].wait()
            finally:
                self._timeouts.discard(limit)

    def stop_waiting(self) -> None:
        """Let every `wait_until_subscribed` fail at once, because the process is stopping."""
        self._stopping = True
        for limit in self._timeouts:
            limit.reschedule(0)

    async def run(self) -> None:
        """Receive until cancelled, over one connection after another.

        A task group that raises an error forgets that it was cancelled as well, and on Python 3.11 it can
        mark its task as cancelled when it was not. So the loop ends by the flag that `stop_waiting` sets.
        """
        pause = _BACKOFF_S[0]
        while True:
            began = time.monotonic()
            try:
                await self._session()
            except* _StoreChanged:
                _log.info("notifications_resubscribed")
            except* (StoreOutage, TimeoutError, msgspec.MsgspecError, ConfigurationError) as errors:
                _log.warning("notifications_not_received", error=repr(errors.exceptions[0]))
            if self._stopping:
                return
            pause = _BACKOFF_S[0] if time.monotonic() - began > _PING_S else min(pause * 2, _BACKOFF_S[1])
            await asyncio.sleep(pause)

    async def _session(self) -> None:
        identity = await self._store.refresh()
        pubsub = self._redis.pubsub()
        self._subscribed, self._last_sign = set(), time.monotonic()
        self._channels = identity.subscribed_channels
        try:
            async with asyncio.TaskGroup() as tasks:
                own = identity.own_channels
                await self._subscribe_first(pubsub, own.notification(_NO_OWNER), own.catalogue)
                tasks.create_task(self._watch_store(identity))
                tasks.create_task(self._read(pubsub))
                tasks.create_task(self._sync(pubsub))
                tasks.create_task(self._ping(pubsub, identity.own_channels.notification(_NO_OWNER)))
        finally:
            self._ready = {owner: self._ready[owner] for owner in self._wanted}
            for ready in self._ready.values():
                ready.clear()
            await _close(pubsub)

    async def _subscribe_first(self, pubsub: PubSub, *channels: str) -> None:
        """The first subscription, before other tasks use the connection.

        Never the empty channel that version 8adfc9c subscribes to, because it counts its processes by it.
        """
        self._unconfirmed = set(channels)
        self._confirmed.clear()
        async with asyncio.timeout(CONFIRM_S):
            await pubsub.subscribe(*channels)

    async def _watch_store(self, identity: StoreIdentity) -> None:
        """Raises _StoreChanged as soon as the store's channels differ from those of this session."""
        while self._store.identity == identity:
            self._store.changed.clear()
            await self._store.changed.wait()
        raise _StoreChanged

    async def _read(self, pubsub: PubSub) -> None:
        while True:
            message: dict[str, Any] | None = await pubsub.get_message(timeout=_PING_S)
            if message is None:
                continue
            self._last_sign = time.monotonic()
            if message["type"] == "message" and message["channel"].decode().endswith(_CATALOGUE):
                self._on_catalogue()
            elif message["type"] == "message":
                self._on_notification(
                    self._owner_of(message["channel"].decode()), read_notification(message["data"])
                )
            else:
                self._confirm(message["channel"].decode())

    def _owner_of(self, channel: str) -> str:
        prefixes = [channels.notification("") for channels in self._channels]
        return next(channel[len(prefix) :] for prefix in prefixes if channel.startswith(prefix))

    def _confirm(self, channel: str) -> None:
        self._unconfirmed.discard(channel)
        if not self._unconfirmed:
            self._confirmed.set()

    async def _sync(self, pubsub: PubSub) -> None:
        """Keep the connection's subscriptions equal to the wanted owners."""
        await self._await_confirmation()
        fresh = True
        while True:
            self._changed.clear()
            while self._subscribed != self._wanted.keys():
                await self._sync_some(pubsub)
            if fresh:
                self._on_connected()
                self._on_catalogue()
                fresh = False
            await self._changed.wait()

    async def _sync_some(self, pubsub: PubSub) -> None:
        new = list(self._wanted.keys() - self._subscribed)[:_SYNC_BATCH]
        if new:
            await self._command(pubsub.subscribe, new)
            self._subscribed.update(new)
            for owner in new:
                if owner in self._ready:
                    self._ready[owner].set()
            return
        old = list(self._subscribed - self._wanted.keys())[:_SYNC_BATCH]
        self._subscribed.difference_update(old)
        for owner in old:
            self._ready[owner].clear()
        await self._command(pubsub.unsubscribe, old)
        for owner in old:
            if owner not in self._wanted:
                del self._ready[owner]

    async def _command(self, command: Callable[..., Any], owners: list[str]) -> None:
        channels = [channels.notification(owner) for channels in self._channels for owner in owners]
        self._unconfirmed = set(channels)
        self._confirmed.clear()
        async with asyncio.timeout(CONFIRM_S):
            await command(*channels)
        await self._await_confirmation()

    async def _await_confirmation(self) -> None:
        async with asyncio.timeout(CONFIRM_S):
            await self._confirmed.wait()

    async def _ping(self, pubsub: PubSub, channel: str) -> None:
        """Ping the server, and give up a connection that looks open but has been silent for too long."""
        while time.monotonic() - self._last_sign < _SILENCE_S:
            async with asyncio.timeout(CONFIRM_S):
                await reach_subscribed(pubsub, channel)
            await asyncio.sleep(_PING_S)
        raise TimeoutError(f"the pub/sub connection was silent for {_SILENCE_S:.0f} s")


async def _close(pubsub: PubSub) -> None:
    try:
        async with asyncio.timeout(CONFIRM_S):
            await pubsub.aclose()
    except (StoreOutage, TimeoutError) as error:
        _log.info("notifications_not_closed", error=str(error))
