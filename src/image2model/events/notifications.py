"""The bells of owners, heard over the process's one pub/sub connection.

Who calls it: the relay. Whatever is lost here (a message, the connection) loses no event: the streams are
the truth, and `on_connected` tells the relay to compare. redis-py loses subscriptions when several tasks
subscribe at once, so one task alone asks, one change at a time, each waited for. redis-py never
reconnects by itself here, for it would not say so.
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
from image2model.store.keys import Channels

_log: Final = structlog.stdlib.get_logger(__name__)

CONFIRM_S: Final = 5.0
"""How long a subscription may take to be confirmed."""
_PING_S: Final = 3.0
_SILENCE_S: Final = 10.0
_BACKOFF_S: Final = (0.05, 1.0)
_CHANGE: Final = 500
_NOBODY: Final = ""
"""The owner whose channel keeps the connection subscribed when no owner is listened to."""


class _StoreChanged(Exception):
    """The store is another one, or has another version: its channels have other names."""


class Notifications:
    """Owners listened to are counted: `want` and `drop` come in pairs. `store` says which channels there are.

    `on_bell(owner, bell)` is called for each message, `on_connected()` whenever all that is wanted is
    heard again after the connection was new.
    """

    def __init__(
        self,
        redis: Redis,
        store: StoreWatch,
        on_notification: Callable[[str, Notification], None],
        on_connected: Callable[[], None],
    ) -> None:
        self._redis = redis
        self._store = store
        self._channels: tuple[Channels, ...] = ()
        self._on_notification = on_notification
        self._on_connected = on_connected
        self._wanted: dict[str, int] = {}
        self._heard: dict[str, asyncio.Event] = {}
        self._asked: set[str] = set()
        self._changed = asyncio.Event()
        self._unconfirmed: set[str] = set()
        self._confirmed = asyncio.Event()
        self._last_sign = 0.0
        self._waiting: set[asyncio.Timeout] = set()
        self._given_up = False

    def want(self, owner: str) -> None:
        """Listen to an owner from soon on; `listening` says when."""
        self._wanted[owner] = self._wanted.get(owner, 0) + 1
        self._heard.setdefault(owner, asyncio.Event())
        self._changed.set()

    def drop(self, owner: str) -> None:
        """One who wanted the owner does so no longer."""
        self._wanted[owner] -= 1
        if not self._wanted[owner]:
            del self._wanted[owner]
            self._changed.set()

    async def listening(self, owner: str) -> None:
        """Return when the owner's bell is heard. Raises TimeoutError, at once after `give_up`."""
        async with asyncio.timeout(0 if self._given_up else CONFIRM_S) as limit:
            self._waiting.add(limit)
            try:
                await self._heard[owner].wait()
            finally:
                self._waiting.discard(limit)

    def give_up(self) -> None:
        """The process ends: nobody waits any longer to be heard."""
        self._given_up = True
        for limit in self._waiting:
            limit.reschedule(0)

    async def run(self) -> None:
        """Listen until cancelled, over one connection after another.

        A task group that has an error to tell forgets that it was cancelled as well, and on Python 3.11 it
        leaves its task marked as cancelled when it was not: only `give_up` tells what is meant.
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
            if self._given_up:
                return
            pause = _BACKOFF_S[0] if time.monotonic() - began > _PING_S else min(pause * 2, _BACKOFF_S[1])
            await asyncio.sleep(pause)

    async def _session(self) -> None:
        head = await self._store.refresh()
        pubsub = self._redis.pubsub()
        self._asked, self._last_sign = set(), time.monotonic()
        self._channels = head.subscribed_channels
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._ask(pubsub, head.own_channels.notification(_NOBODY))
                tasks.create_task(self._stay(head))
                tasks.create_task(self._read(pubsub))
                tasks.create_task(self._follow(pubsub))
                tasks.create_task(self._watch(pubsub, head.own_channels.notification(_NOBODY)))
        finally:
            self._heard = {owner: self._heard[owner] for owner in self._wanted}
            for heard in self._heard.values():
                heard.clear()
            await _close(pubsub)

    async def _ask(self, pubsub: PubSub, channel: str) -> None:
        """The first subscription, before anybody else uses the connection. Never the channel of nobody that
        8adfc9c subscribes to: it is how its processes are counted.
        """
        self._unconfirmed = {channel}
        self._confirmed.clear()
        async with asyncio.timeout(CONFIRM_S):
            await pubsub.subscribe(channel)

    async def _stay(self, head: StoreIdentity) -> None:
        """Raises _StoreChanged as soon as the channels are not those that this session listens to."""
        while self._store.identity == head:
            self._store.changed.clear()
            await self._store.changed.wait()
        raise _StoreChanged

    async def _read(self, pubsub: PubSub) -> None:
        while True:
            message: dict[str, Any] | None = await pubsub.get_message(timeout=_PING_S)
            if message is None:
                continue
            self._last_sign = time.monotonic()
            if message["type"] == "message":
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

    async def _follow(self, pubsub: PubSub) -> None:
        """Make what is asked of the server equal to what is wanted, for ever."""
        await self._await_confirmation()
        fresh = True
        while True:
            self._changed.clear()
            while self._asked != self._wanted.keys():
                await self._change(pubsub)
            if fresh:
                self._on_connected()
                fresh = False
            await self._changed.wait()

    async def _change(self, pubsub: PubSub) -> None:
        new = list(self._wanted.keys() - self._asked)[:_CHANGE]
        if new:
            await self._command(pubsub.subscribe, new)
            self._asked.update(new)
            for owner in new:
                if owner in self._heard:
                    self._heard[owner].set()
            return
        old = list(self._asked - self._wanted.keys())[:_CHANGE]
        self._asked.difference_update(old)
        for owner in old:
            self._heard[owner].clear()
        await self._command(pubsub.unsubscribe, old)
        for owner in old:
            if owner not in self._wanted:
                del self._heard[owner]

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

    async def _watch(self, pubsub: PubSub, channel: str) -> None:
        """Ask for an answer, and give up a connection that looks open but has been silent for too long."""
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
