"""Scripts of many tasks over one connection: what is called in one turn of the event loop goes out together.

redis-py takes a connection from its pool for each command, looks whether it still stands, makes a task to
send and arms two timers: more work than most scripts are. Here redis-py only opens the connection. A call
adds its bytes to the next batch and waits for its reply, without a task or a timer of its own. What a batch
carries the store commits to disk together.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

import hiredis
from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import InvalidResponse, ReadOnlyError

from image2model.store.connection import (
    COMMAND_TIMEOUT_S,
    StoreConnection,
    StoreOutage,
    StoreTimeout,
    StoreUnreachable,
    error_in,
)
from image2model.store.naming import Args, without_tags
from image2model.store.run_id import note_reply

_BATCHES: Final = 2
"""One is run by the store while the next is on its way. More would only make smaller batches."""
_MOST: Final = 64
"""Calls in one batch: the store replies to none of them before it has run them all."""
_PAUSES_S: Final = (0.05, 0.1, 0.2)
"""Before another try where the connection was lost: every script may run twice."""
_IDLE_S: Final = 10.0
"""After so long without a call the connection goes back to the pool, which checks it before its next use."""
_LOOKS: Final = 4
"""How often in its deadline a reply is looked for: one timer serves all calls."""
_MORE: Final = object()


async def call(redis: Redis, *args: bytes | str | int) -> Any:
    """The reply to one command, as the server sends it.

    It must not block in the store, and may be sent again. Raises StoreOutage, and RedisError for a bug.
    """
    pool = redis.connection_pool
    line = _line_of.get(pool)
    if line is None:
        line = _line_of[pool] = _Line()
    for pause in _PAUSES_S:
        try:
            return await line.call(pool, args)
        except (StoreUnreachable, StoreTimeout):
            await asyncio.sleep(pause)
    return await line.call(pool, args)


def _packed(args: Args) -> bytes:
    packed: bytes = hiredis.pack_command(args)  # type: ignore[arg-type]  # its stub says a tuple of one
    return packed


class _Call:
    """One command, and the future of its reply and of the server's run id."""

    __slots__ = ("args", "packed", "reply")

    def __init__(self, args: Args, reply: "asyncio.Future[tuple[Any, str]]") -> None:
        self.args = args
        self.packed = _packed(args)
        self.reply = reply

    def answer(self, reply: object, run_id: str) -> None:
        """Unless its caller has been cancelled."""
        if not self.reply.done():
            self.reply.set_result((reply, run_id))

    def fail(self, error: BaseException) -> None:
        """The same."""
        if not self.reply.done():
            self.reply.set_exception(error)


class _Line:
    """The calls of one client, and its connection while there are calls. It belongs to one event loop."""

    def __init__(self) -> None:
        self._waiting: deque[_Call] = deque()
        self._traffic: _Traffic | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_opening = False
        self._is_scheduled = False

    async def call(self, pool: ConnectionPool, args: Args) -> Any:
        """The reply. Raises StoreOutage, and the reply if that is an error."""
        loop = asyncio.get_running_loop()
        one = _Call(args, loop.create_future())
        self._waiting.append(one)
        if not self._is_scheduled:
            self._is_scheduled = True
            loop.call_soon(self._send, pool)
        reply, run_id = await one.reply
        note_reply(run_id)
        return reply

    def _send(self, pool: ConnectionPool) -> None:
        """Send what waits, as far as the connection takes it; open one where there is none."""
        self._is_scheduled = False
        traffic = self._traffic
        if traffic is not None:
            while traffic.has_room and (batch := self._next()):
                traffic.send(batch)
        elif self._waiting and not self._is_opening:
            self._is_opening = True
            self._start(self._open(pool)).add_done_callback(lambda opening: self._opened(opening, pool))

    def _next(self) -> list[_Call]:
        batch: list[_Call] = []
        while self._waiting and len(batch) < _MOST:
            one = self._waiting.popleft()
            if not one.reply.done():
                batch.append(one)
        return batch

    async def _open(self, pool: ConnectionPool) -> None:
        connection = await pool.get_connection()
        assert isinstance(connection, StoreConnection)  # noqa: S101 - `connect` made its pool
        self._traffic = _Traffic(
            connection, on_room=lambda: self._send(pool), on_end=partial(self._ended, pool, connection)
        )

    def _opened(self, opening: "asyncio.Task[None]", pool: ConnectionPool) -> None:
        self._is_opening = False
        error = StoreUnreachable("it was stopped") if opening.cancelled() else opening.exception()
        if error is None:
            self._send(pool)
        while error is not None and self._waiting:
            self._waiting.popleft().fail(error)

    def _ended(self, pool: ConnectionPool, connection: StoreConnection, *, is_open: bool) -> None:
        self._traffic = None
        self._start(_give_back(pool, connection, is_open=is_open))
        self._send(pool)

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _give_back(pool: ConnectionPool, connection: StoreConnection, *, is_open: bool) -> None:
    if not is_open:
        with suppress(StoreOutage):
            await connection.disconnect(nowait=True)
    await pool.release(connection)


class _OnEnd(Protocol):
    def __call__(self, *, is_open: bool) -> None: ...


class _Traffic(asyncio.Protocol):
    """What goes over one connection of the pool, in place of redis-py's stream.

    `on_room`: another batch may be sent; `on_end`: nothing is sent over it any more.
    """

    def __init__(self, connection: StoreConnection, *, on_room: Callable[[], None], on_end: _OnEnd) -> None:
        self._on_room = on_room
        self._on_end = on_end
        self._run_id = connection.run_id
        self._naming = connection.naming
        self._deadline_s: float = connection.socket_timeout or COMMAND_TIMEOUT_S
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._sent: deque[_Call] = deque()
        self._unanswered: deque[int] = deque()  # of each batch
        self._has_ended = False
        self._reader = connection.new_reader(_MORE)
        self._transport = connection.transport
        self._stream = self._transport.get_protocol()
        self._transport.set_protocol(self)
        self._timer = self._loop.call_later(self._deadline_s / _LOOKS, self._look)

    @property
    def has_room(self) -> bool:
        """Whether another batch may be sent."""
        return not self._has_ended and len(self._unanswered) < _BATCHES

    def send(self, batch: list[_Call]) -> None:
        """Send these, none of them cancelled."""
        if not self._sent:
            self._heard_at = self._loop.time()
        self._sent.extend(batch)
        self._unanswered.append(len(batch))
        try:
            self._transport.writelines(self._spelled(batch))
        except RuntimeError as error:  # uvloop's, where the handle is closed
            self._break(StoreUnreachable(f"the connection is lost: {error}"))

    def data_received(self, data: bytes) -> None:
        """Replies, in the order of the calls."""
        self._heard_at = self._loop.time()
        self._reader.feed(data)
        try:
            while not self._has_ended and (reply := self._reader.gets()) is not _MORE:
                self._answer(reply)
        except InvalidResponse as error:
            self._break(StoreUnreachable(f"the store's reply is unreadable: {error}"))
        if self.has_room:
            self._on_room()

    def eof_received(self) -> None:
        """The store has closed the connection: `connection_lost` follows."""

    def connection_lost(self, error: Exception | None) -> None:
        """No call that is unanswered will be answered."""
        self._stream.connection_lost(error)  # who closes the connection waits for this
        self._break(StoreUnreachable(f"the connection was lost: {error or 'the store closed it'}"))

    def _spelled(self, batch: list[_Call]) -> list[bytes]:
        """The names of keys are packed as most stores have them: with their tags."""
        if self._naming.tagged:
            return [one.packed for one in batch]
        return [_packed(without_tags(one.args)) for one in batch]

    def _answer(self, reply: object) -> None:
        if not self._sent:
            raise InvalidResponse("nothing was asked")
        one = self._sent.popleft()
        self._unanswered[0] -= 1
        if not self._unanswered[0]:
            self._unanswered.popleft()
        if (error := error_in(reply)) is None:
            one.answer(reply, self._run_id)
            return
        if isinstance(reply, ReadOnlyError):
            # a primary no longer: another connection may lead to the new one
            error = StoreUnreachable(str(reply))
            error.__cause__ = reply
        one.fail(error)
        if isinstance(error, StoreUnreachable):
            self._break(error)

    def _look(self) -> None:
        silent_s = self._loop.time() - self._heard_at
        if self._sent and silent_s >= self._deadline_s:
            self._break(StoreTimeout(f"the store did not reply in {self._deadline_s:g} s"))
        elif not self._sent and silent_s >= _IDLE_S:
            self._transport.set_protocol(self._stream)
            self._end(is_open=True)
        else:
            self._timer = self._loop.call_later(self._deadline_s / _LOOKS, self._look)

    def _break(self, error: StoreOutage) -> None:
        """Fail what is unanswered, and close: a late reply must not be taken for another call's."""
        if self._has_ended:
            return
        while self._sent:
            self._sent.popleft().fail(error)
        self._transport.abort()
        self._end(is_open=False)

    def _end(self, *, is_open: bool) -> None:
        self._has_ended = True
        self._timer.cancel()
        self._on_end(is_open=is_open)


_line_of: Final[WeakKeyDictionary[ConnectionPool, _Line]] = WeakKeyDictionary()
