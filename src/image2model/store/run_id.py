"""The store's life: from a server's start to its end, by the run id that it draws when it starts.

Who calls it: our connections tell the server's run id when they connect; what keeps something of the store
in memory compares. After a restart, a failover or a replaced file another server process answers, which may
hold other data than the one before, under the same versions. Learning it costs one command for each
connection, and nothing for each request.
"""

import re
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from image2model.telemetry.metrics import STORE_RUN_CHANGES

_log: Final = structlog.stdlib.get_logger(__name__)
_RUN_ID: Final = re.compile(rb"^run_id:([0-9a-f]+)", re.MULTILINE)
_spoken_to: ContextVar[str] = ContextVar("store_life", default="")


class StoreRun:
    """What the connections of one client have met. `current` is empty before the first connection, and where
    the server does not tell its run id. Belongs to one event loop.
    """

    def __init__(self) -> None:
        self.current = ""
        self._watchers: list[Callable[[], None]] = []

    def meet(self, run_id: str) -> None:
        """A new connection leads to the server of this run id; empty: it was not told."""
        before, self.current = self.current, run_id or self.current
        if not before or before == self.current:
            return
        STORE_RUN_CHANGES.inc()
        _log.warning("store_run_changed", before=before[:8], now=self.current[:8])
        for watcher in self._watchers:
            watcher()

    def on_change(self, watcher: Callable[[], None]) -> None:
        """Call it after each change, in the task that met the new server: it only takes a note."""
        self._watchers.append(watcher)


class RunIdConnection(AbstractConnection):
    """Learns the run id of the server that it leads to, and tells whoever asks over it."""

    run: StoreRun
    run_id = ""

    async def on_connect(self) -> None:
        """The handshake, and one question more."""
        await super().on_connect()
        self.run_id = await self._ask_run_id()
        self.run.meet(self.run_id)
        _spoken_to.set(self.run_id)

    def note_use(self) -> None:
        """A command has just gone to this server; its reply belongs to this life."""
        _spoken_to.set(self.run_id)

    async def _ask_run_id(self) -> str:
        """Empty where the server does not tell. Raises redis.ConnectionError, redis.TimeoutError."""
        await self.send_command("INFO", "server", check_health=False)
        try:
            about = await self.read_response()
        except RedisConnectionError:
            raise
        except ResponseError:  # a hosted server may not tell, a busy one tells another connection
            return ""
        found = _RUN_ID.search(about) if isinstance(about, bytes) else None
        return found[1].decode() if found else ""


def store_run(redis: Redis) -> StoreRun:
    """The lives that a client of `connection.connect` has met."""
    kind = redis.connection_pool.connection_class
    assert issubclass(kind, RunIdConnection)  # noqa: S101 - `connect` made it
    return kind.run


def last_run_id() -> str:
    """The run id of the server that the last reply in this task came from; empty: not known."""
    return _spoken_to.get()
