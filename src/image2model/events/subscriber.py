"""One client of one event stream: sends its frames in order, and never faster than the client reads.

The topic offers frames; the relay's keep-alive sends comments and disconnects clients that do not read. A
subscriber has no task while nothing happens, nor while the connection accepts frames at once. Only what must
wait for the client or for history is written by a short task, which ends when nothing is left.
"""

import asyncio
import math
import time
from collections.abc import MutableSet
from typing import Final

import structlog
from starlette.types import Send

from image2model.events.frames import COMMENT, RETRY, Backlog, Frame
from image2model.events.send_buffer import SendBuffer
from image2model.events.topic import Opening, Topic
from image2model.store.connection import StoreOutage
from image2model.telemetry.metrics import EVENT_LAG, SSE_EVENTS
from image2model.telemetry.unexpected import report_unexpected

_log: Final = structlog.stdlib.get_logger(__name__)


class Subscriber:
    """`position` is the last event that was sent or is in the backlog.

    `writing_since` is the monotonic time when the current write began, infinite without one. `aborted`: this
    side ended the connection.
    """

    __slots__ = (
        "_backlog",
        "_behind",
        "_complete",
        "_done",
        "_ending",
        "_opening",
        "_ping",
        "_restarts",
        "_send",
        "_send_buffer",
        "_sent",
        "_topic",
        "_writer",
        "_writers",
        "aborted",
        "position",
        "slot",
        "writing_since",
    )

    def __init__(
        self,
        topic: Topic,
        opening: Opening,
        send: Send,
        send_buffer: SendBuffer,
        writers: "MutableSet[Subscriber]",
    ) -> None:
        self.position = self._sent = opening.position
        self.slot = 0
        self.aborted = False
        self.writing_since = math.inf
        self._topic = topic
        self._restarts = 0
        self._opening = _bytes(opening)
        self._complete = _ends(opening)
        self._send = send
        self._send_buffer = send_buffer
        self._writers = writers
        self._backlog: Backlog | None = None
        self._behind = False
        self._ending = False
        self._done = False
        self._ping = False
        self._writer: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Join the topic and send the opening."""
        self._behind = not self._topic.admit(self)
        if self._topic.ended:
            self._ending = True
        self.wake()

    def offer(self, frame: Frame) -> bool:
        """Send or queue a live event, unless it was read from history already; True: it was sent now."""
        if frame.position <= self.position:
            return False
        if self._sent_now(frame.data):
            self.position = self._sent = frame.position
            self._complete = frame.last
            if frame.last:
                self.wake()
            return True
        if self._backlog is None:
            self._backlog = Backlog()
        if self._backlog.add(frame, merge=self.writing_since != math.inf):
            self.position = frame.position
        else:
            self._backlog = None
            self.position = self._sent
            self._behind = True
            self._topic.fall_behind(self)
        self.wake()
        return False

    def restart(self, opening: Opening) -> None:
        """The store went back to another history: send this opening next, then what follows it."""
        self._restarts += 1
        self.position = self._sent = opening.position
        self._opening = _bytes(opening)
        self._complete = _ends(opening)
        self._backlog = None
        self._behind = not self._topic.admit(self)
        self.wake()

    def ping(self) -> None:
        """Send a comment, unless something is being sent anyway."""
        if not self._sent_now(COMMENT) and self._writer is None:
            self._ping = True
            self.wake()

    def end(self) -> None:
        """End the stream properly; a client that is not reading is disconnected."""
        self._ending = True
        if self.writing_since != math.inf:
            self._cut()
        self.wake()

    def cut(self) -> None:
        """Disconnect a client that does not read."""
        _log.info("event_stream_cut", seconds=round(time.monotonic() - self.writing_since, 3))
        self._cut()

    def close(self) -> None:
        """The connection is closed: leave the topic and stop writing."""
        self._done = True
        self._topic.leave(self)
        if self._writer is not None:
            self._writer.cancel()

    def wake(self) -> None:
        """Start the writing task, unless it is running."""
        if self._writer is None and not self._done:
            self._writer = asyncio.create_task(self._write_all())

    def _sent_now(self, data: bytes) -> bool:
        """Send it at once if nothing must be sent first, and the connection can accept more.

        Waking a task for each client would be most of the cost of thousands of clients.
        """
        if self._writer is not None or self._done or self._ending:
            return False
        return self._send_buffer.write_now(data)

    def _cut(self) -> None:
        self.writing_since = math.inf
        self.aborted = True
        self._send_buffer.abort()

    async def _write_all(self) -> None:
        self._writers.add(self)
        ok = False
        try:
            while not self._done and await self._step():
                pass
            ok = True
        except StoreOutage:
            ok = True  # still behind: the relay's next check starts the task again
        except Exception as error:  # noqa: BLE001 - reported; the client is disconnected and reconnects
            report_unexpected("loop:subscriber", error)
        finally:
            self._writer = None
            self._writers.discard(self)
            if not ok:
                self._cut()

    async def _step(self) -> bool:
        """Write one thing; False when nothing is left."""
        if self._opening or self._ping:
            await self._write_first()
        elif self._ending:
            return await self._finish()
        elif self._backlog is not None:
            await self._write_live(self._take(self._backlog))
        elif self._behind:
            return await self._write_history()
        else:
            return await self._finish() if self._complete else False
        return True

    def _take(self, backlog: Backlog) -> list[Frame]:
        """The next frames; an empty backlog is dropped."""
        frames = backlog.take()
        if not backlog:
            self._backlog = None
        return frames

    async def _write_first(self) -> None:
        data, self._opening = self._opening or COMMENT, b""
        self._ping = False
        await self._write(data)

    async def _write_live(self, frames: list[Frame]) -> None:
        await self._write_frames(frames)
        now_ms = time.time() * 1000
        for frame in frames:
            EVENT_LAG.observe(max(now_ms - frame.at, 0) / 1000)

    async def _write_history(self) -> bool:
        restarts = self._restarts
        page = await self._topic.page(self.position)
        if self._done:
            return False
        if restarts != self._restarts:
            return True
        if page.frames or page.first:
            if page.first != self.position + 1:
                return await self._finish()  # trimmed meanwhile: the client reconnects and gets a snapshot
            for start in range(0, len(page.frames), 32):
                await self._write_frames(page.frames[start : start + 32])
                if restarts != self._restarts:
                    return True
            self.position = self._sent = page.last
        elif self.position < self._topic.position:
            return await self._finish()
        self._behind = not self._topic.admit(self)
        return True

    async def _write_frames(self, frames: list[Frame]) -> None:
        restarts = self._restarts
        self._sent = frames[
            -1
        ].position  # before the write: a frame that is being sent is never read from history
        await self._write(b"".join([frame.data for frame in frames]))
        if restarts == self._restarts:
            self._complete = frames[-1].last
        SSE_EVENTS.inc(len(frames))

    async def _write(self, data: bytes) -> None:
        self.writing_since = time.monotonic()
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        self.writing_since = math.inf

    async def _finish(self) -> bool:
        self._done = True
        self._topic.leave(self)
        self.writing_since = time.monotonic()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        self.writing_since = math.inf
        return False


def _bytes(opening: Opening) -> bytes:
    return RETRY + b"".join(frame.data for frame in opening.frames)


def _ends(opening: Opening) -> bool:
    return bool(opening.frames) and opening.frames[-1].last
