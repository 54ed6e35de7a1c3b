"""Ends event streams whose key or session is no longer good.

Who calls it: the gate. A stream asks for its key once, when it is opened, and then stays open; so all
credentials of open streams are asked for again every second, each once however many streams it has.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Final

import structlog

from image2model.store.connection import StoreOutage
from image2model.store.lookups import Credential
from image2model.telemetry.unexpected import tell_unexpected

_EVERY_S: Final = 1.0
_log: Final = structlog.stdlib.get_logger(__name__)
Sever = Callable[[], None]


class StreamGuard:
    """Belongs to one event loop. It has a task only while there are streams."""

    def __init__(self, still_good: Callable[[Credential], Awaitable[bool]]) -> None:
        self._still_good = still_good
        self._open: dict[Credential, set[Sever]] = {}
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def watching(self, credential: Credential, sever: Sever) -> Iterator[None]:
        """For the life of a stream: `sever` ends it."""
        self._open.setdefault(credential, set()).add(sever)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), context=Context())
        try:
            yield
        finally:
            self._leave(credential, sever)

    def _leave(self, credential: Credential, sever: Sever) -> None:
        streams = self._open.get(credential, set())
        streams.discard(sever)
        if not streams:
            self._open.pop(credential, None)
        if not self._open and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                good = await asyncio.gather(*map(self._still_good, credentials := list(self._open)))
            except StoreOutage as error:  # nothing can be told: the streams carry nothing new either
                _log.info("streams_not_checked", error=str(error))
                continue
            except Exception as error:  # noqa: BLE001 - a guard that ends would leave later streams unwatched
                tell_unexpected("loop:stream_guard", error)
                continue
            for credential in [one for one, fine in zip(credentials, good, strict=True) if not fine]:
                self._end(credential)

    def _end(self, credential: Credential) -> None:
        streams = list(self._open.get(credential, ()))
        _log.info("streams_ended", reason="the key or session is no longer good", count=len(streams))
        for sever in streams:
            sever()
