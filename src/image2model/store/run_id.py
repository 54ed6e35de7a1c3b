"""The run id of the store's server: it changes whenever another server process replies.

Redis draws it when it starts. After a restart, a failover or a replaced file another process replies, which
may hold other data under the same versions. Whatever caches something of the store therefore compares run
ids. Learning it costs one command for each connection, and nothing for each request.
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
_last_run_id: ContextVar[str] = ContextVar("store_run_id", default="")


class StoreRun:
    """The server that the connections of one client reach. `current` is empty before the first connection,
    and if the server does not report its run id. It belongs to one event loop.
    """

    def __init__(self) -> None:
        self.current = ""
        self._watchers: list[Callable[[], None]] = []

    def note(self, run_id: str) -> None:
        """A new connection reaches the server with this run id; empty: the server did not report it."""
        before, self.current = self.current, run_id or self.current
        if not before or before == self.current:
            return
        STORE_RUN_CHANGES.inc()
        _log.warning("store_run_changed", before=before[:8], now=self.current[:8])
        for watcher in self._watchers:
            watcher()

    def on_change(self, watcher: Callable[[], None]) -> None:
        """Call it after each change, in the task that connected: it must not block."""
        self._watchers.append(watcher)


class RunIdConnection(AbstractConnection):
    """Learns the run id of its server when it connects, and notes it for the task that sends a command."""

    run: StoreRun
    run_id = ""

    async def on_connect(self) -> None:
        """The handshake, and one more command."""
        await super().on_connect()
        self.run_id = await self._read_run_id()
        self.run.note(self.run_id)
        _last_run_id.set(self.run_id)

    def note_use(self) -> None:
        """A command was just sent to this server, which will reply to it."""
        _last_run_id.set(self.run_id)

    async def _read_run_id(self) -> str:
        """Empty if the server does not report it. Raises redis.ConnectionError, redis.TimeoutError."""
        await self.send_command("INFO", "server", check_health=False)
        try:
            about = await self.read_response()
        except RedisConnectionError:
            raise
        except ResponseError:  # a hosted server may refuse it; a busy one reports it to another connection
            return ""
        found = _RUN_ID.search(about) if isinstance(about, bytes) else None
        return found[1].decode() if found else ""


def store_run(redis: Redis) -> StoreRun:
    """The run that the connections of this client share. The client comes from `connection.connect`."""
    kind = redis.connection_pool.connection_class
    assert issubclass(kind, RunIdConnection)  # noqa: S101 - `connect` made it
    return kind.run


def note_reply(run_id: str) -> None:
    """This task has a reply from this server, which another task has read."""
    _last_run_id.set(run_id)


def last_run_id() -> str:
    """The run id of the server that sent the last reply in this task; empty: unknown."""
    return _last_run_id.get()
