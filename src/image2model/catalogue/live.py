"""The catalogue of one process: decoded from the store's copy, replaced as a whole when that changes.

A notification says that it changed, and a slow poll finds what a lost notification did not say. Nothing
waits for the first reading but what needs an endpoint that the built-in copy does not have.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from copy import copy
from time import monotonic
from typing import Final

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.catalogue import stored
from image2model.catalogue.stored import CatalogueCopy, Head
from image2model.errors import UnknownModel
from image2model.fal.endpoints import Catalogue, Endpoint, EndpointSchema
from image2model.fal.endpoints.builtin import built_in_schemas
from image2model.fal.endpoints.overlay import REMOVERS
from image2model.store.connection import StoreOutage
from image2model.telemetry.unexpected import keep_running

_log: Final = structlog.stdlib.get_logger(__name__)
_POLL_S: Final = 20.0
_AGAIN_S: Final = 1.0
_LOOK_S: Final = 0.2
_CANCEL_AGAIN_S: Final = 0.05
_FIRST_S: Final = 2.0
"""How long a request waits for the process's first reading of the store."""


class LiveCatalogue:
    """Belongs to one event loop. `run` keeps it up to date; without it, it is read when it is needed."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._current: Catalogue | None = None
        self._reading = asyncio.Lock()
        self._unreadable = ""
        self._read = asyncio.Event()
        self._checked = asyncio.Event()
        self._listeners: list[asyncio.Event] = []
        self.head = Head()

    def notify(self) -> None:
        """A notification of the store came: the copy changed, was read again, or shall be."""
        for listener in self._listeners:
            listener.set()

    def listen(self) -> asyncio.Event:
        """An event that each notification sets; who waits for it clears it."""
        self._listeners.append(event := asyncio.Event())
        return event

    @property
    def current(self) -> Catalogue:
        """The last good copy; the built-in one until there is one."""
        if self._current is None:
            self._current = Catalogue.built_in()
        return self._current

    async def run(self) -> None:
        """Follow the store's copy until cancelled."""
        notified = self.listen()
        while True:
            pause = _POLL_S
            try:
                await self.read()
            except StoreOutage as error:
                _log.info("catalogue_not_read", error=str(error))
                pause = _AGAIN_S
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await notified.wait()
            notified.clear()

    async def read(self) -> Catalogue:
        """The store's copy, decoded if it is another than before. Raises StoreOutage."""
        async with self._reading:
            head = await stored.head(self._redis)
            if head.version and head.version not in (self.head.version, self._unreadable):
                head, body = await stored.read(self._redis)
                await self._take(head, body)
            elif head.version == self.head.version:
                self._note(head)
            if head.checked_at:
                self._checked.set()
            self._read.set()
            return self.current

    async def _take(self, head: Head, body: bytes) -> None:
        try:
            self._current = await asyncio.to_thread(_decoded, head, body)
        except msgspec.DecodeError as error:
            self._unreadable = head.version
            _log.warning("catalogue_unreadable", version=head.version, error=str(error))
        else:
            self.head = head
            _log.info("catalogue_read", version=head.version, endpoints=len(self._current.endpoints))

    def _note(self, head: Head) -> None:
        """The same content, read from FAL again."""
        if head.updated_at != self.head.updated_at and self._current is not None and head.version:
            self._current = copy(self._current)  # a snapshot that others hold stays as it is
            self._current.updated_at = head.updated_at
        self.head = head

    async def ready(self) -> Catalogue:
        """The current copy, after the first reading of the store if that does not take long."""
        if not self._read.is_set():
            with suppress(TimeoutError, StoreOutage):
                async with asyncio.timeout(_FIRST_S):
                    await self.read()
        return self.current

    async def settled(self, timeout_s: float) -> Catalogue:
        """The current copy, once the fleet has asked FAL at least once, or after the timeout."""
        until = monotonic() + timeout_s  # no timeout around it: redis-py may swallow its one cancellation
        while not self._checked.is_set() and monotonic() < until:
            with suppress(StoreOutage):
                await self.read()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._checked.wait()
        return self.current

    async def find(self, model: str) -> Endpoint:
        """The endpoint of this id, also a retired one. An unknown one is looked for in the store.

        Raises UnknownModel, which names the nearest ids.
        """
        try:
            return (await self.ready()).find(model)
        except UnknownModel:
            with suppress(StoreOutage):
                await self.read()
            return self.current.find(model)

    async def find_bought(self, model: str) -> Endpoint:
        """The endpoint of a request that FAL has, to read its result and to book it.

        One that is in no copy any more counts as one of which nothing is known: what is paid for is handed
        over all the same.
        """
        try:
            return await self.find(model)
        except UnknownModel:
            _log.warning("endpoint_unknown", model=model)
            return Endpoint(EndpointSchema(id=model, title=model))


@asynccontextmanager
async def following(catalogue: LiveCatalogue, on_failed: Callable[[], None]) -> AsyncIterator[None]:
    """Keep it up to date while the block runs. `on_failed` is called when that keeps failing."""
    task = asyncio.create_task(keep_running("catalogue", catalogue.run))
    task.add_done_callback(lambda done: None if done.cancelled() else on_failed())
    try:
        yield
    finally:
        while not task.done():  # redis-py may swallow the cancellation: see `events.relay`
            task.cancel()
            await asyncio.wait([task], timeout=_CANCEL_AGAIN_S)


def _decoded(head: Head, body: bytes) -> Catalogue:
    found = stored.decode(body)
    schemas = (*found.schemas, *_missing_removers(found))
    return Catalogue.of(schemas, found.prices, updated_at=head.updated_at, version=head.version)


def _missing_removers(copy: CatalogueCopy) -> list[EndpointSchema]:
    """Those of the built-in copy, where a release that knew none of them wrote the store's."""
    known = {schema.id for schema in copy.schemas}
    return [one for one in built_in_schemas() if one.id in REMOVERS and one.id not in known]
