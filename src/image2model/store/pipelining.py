"""Scripts of many tasks over few connections: what is called while a connection is busy goes out together.

redis-py takes a connection from its pool for each command, looks whether it still stands, and arms two
timers: more work than most scripts are. Here a task only waits for its reply. One round trip carries what all
tasks called meanwhile, which also lets the store commit it to disk together.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any, Final
from weakref import WeakKeyDictionary

import hiredis
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError

from image2model.store.connection import StoreOutage, StoreTimeout, StoreUnreachable
from image2model.store.run_id import RunIdConnection, note_reply

_LINES: Final = 2
"""One is filled while the other is on its way. More would only make smaller batches."""
_MOST: Final = 64
"""Calls in one round trip: the store replies to none of them before it has run them all."""
_PAUSES_S: Final = (0.05, 0.1, 0.2)
"""Before another try where the connection was lost: every script may run twice."""


async def call(redis: Redis, *args: bytes | str | int) -> Any:
    """The reply to one command, as the server sends it.

    It must not block in the store, and may be sent again. Raises StoreOutage, and RedisError for a bug.
    """
    pool = redis.connection_pool
    lines = _lines_of.setdefault(pool, _Lines())
    packed = hiredis.pack_command(args)  # type: ignore[arg-type]  # its stub says a tuple of one
    for pause in _PAUSES_S:
        try:
            return await lines.call(pool, packed)
        except (StoreUnreachable, StoreTimeout):
            await asyncio.sleep(pause)
    return await lines.call(pool, packed)


class _Call:
    """One command, and the future of its reply and of the server's run id."""

    __slots__ = ("packed", "reply")

    def __init__(self, packed: bytes, reply: "asyncio.Future[tuple[Any, str]]") -> None:
        self.packed = packed
        self.reply = reply

    def answer(self, reply: object, run_id: str) -> None:
        """Unless its caller has been cancelled."""
        if not self.reply.done():
            self.reply.set_result((reply, run_id))

    def fail(self, error: BaseException) -> None:
        """The same."""
        if not self.reply.done():
            self.reply.set_exception(error)


class _Lines:
    """The lines of one client. A line is a task with a connection, for as long as there is something to send:
    so nothing is left to be closed.
    """

    def __init__(self) -> None:
        self._waiting: deque[_Call] = deque()
        self._open: set[asyncio.Task[None]] = set()

    async def call(self, pool: ConnectionPool, packed: bytes) -> Any:
        """The reply. Raises what the connection raises, and the reply if that is an error."""
        one = _Call(packed, asyncio.get_running_loop().create_future())
        self._waiting.append(one)
        if len(self._open) < _LINES:
            self._start(pool)
        reply, run_id = await one.reply
        note_reply(run_id)
        return reply

    def _start(self, pool: ConnectionPool) -> None:
        line = asyncio.create_task(self._run(pool))
        self._open.add(line)
        line.add_done_callback(lambda _: self._ended(line, pool))

    async def _run(self, pool: ConnectionPool) -> None:
        connection: AbstractConnection = await pool.get_connection()
        try:
            while batch := self._next():
                await _exchange(connection, batch)
        finally:
            await pool.release(connection)

    def _ended(self, line: "asyncio.Task[None]", pool: ConnectionPool) -> None:
        self._open.discard(line)
        error = StoreUnreachable("the line was stopped") if line.cancelled() else line.exception()
        if error is None and self._waiting:
            self._start(pool)  # they came while it gave its connection back
        elif not self._open:
            while batch := self._next():
                for one in batch:
                    one.fail(error or StoreUnreachable("the line has ended"))

    def _next(self) -> list[_Call]:
        batch: list[_Call] = []
        while self._waiting and len(batch) < _MOST:
            one = self._waiting.popleft()
            if not one.reply.done():
                batch.append(one)
        return batch


async def _exchange(connection: AbstractConnection, batch: list[_Call]) -> None:
    """Send them all, and give each its reply. Whatever goes wrong fails those that have none yet."""
    unanswered = deque(batch)
    failed: Exception = StoreUnreachable("the line was stopped")
    try:
        await connection.send_packed_command([one.packed for one in batch])
        run_id = connection.run_id if isinstance(connection, RunIdConnection) else ""
        while unanswered:
            try:
                reply = await connection.read_response()
            except ResponseError as error:
                unanswered.popleft().fail(error)
            else:
                unanswered.popleft().answer(reply, run_id)
    except Exception as error:  # noqa: BLE001 - each caller gets it
        failed = error
    finally:
        if unanswered:
            for one in unanswered:
                one.fail(failed)
            with suppress(StoreOutage):  # the next batch must not take their late replies for its own
                await connection.disconnect(nowait=True)


_lines_of: Final[WeakKeyDictionary[ConnectionPool, _Lines]] = WeakKeyDictionary()
