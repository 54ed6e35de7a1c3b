"""One client of one stream: what it is sent, in order, and never faster than it reads.

Who calls it: the stream endpoint makes it; its topic offers frames; the pulse pings and cuts it. It has no
task of its own while nothing happens, nor while the connection takes at once what comes: only what must
wait for the client, or for history, is written by a short task that ends when there is nothing to send.
"""

import asyncio
import math
import time
from collections.abc import Coroutine, MutableSet
from typing import Final, cast

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
    """`position` is the last event accounted for: sent, or in the backlog.

    `writing_since` is when the write under way began, by the monotonic clock; infinite without one.
    `severed` says that we ended the connection ourselves.
    """

    __slots__ = (
        "_at_end",
        "_backlog",
        "_behind",
        "_done",
        "_ending",
        "_epoch",
        "_opening",
        "_ping",
        "_pump",
        "_send",
        "_send_buffer",
        "_sent",
        "_topic",
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
        self._epoch = 0
        self._opening = _bytes(opening)
        self._at_end = _ends(opening)
        self._send = send
        self._send_buffer = send_buffer
        self._writers = writers
        self._backlog: Backlog | None = None
        self._behind = False
        self._ending = False
        self._done = False
        self._ping = False
        self._pump: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Join the topic and send what the stream opens with."""
        self._behind = not self._topic.admit(self)
        if self._topic.ended:
            self._ending = True
        self.wake()

    def offer(self, frame: Frame) -> None:
        """Take a live event, unless it was read from history already."""
        if frame.position <= self.position or self._passed_on(frame):
            return
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

    def restart(self, opening: Opening) -> None:
        """The store's history is another one: this goes out next, then what follows it."""
        self._epoch += 1
        self.position = self._sent = opening.position
        self._opening = _bytes(opening)
        self._at_end = _ends(opening)
        self._backlog = None
        self._behind = not self._topic.admit(self)
        self.wake()

    def ping(self) -> None:
        """Send a comment, unless something is on its way anyway."""
        if self._writes_at_once():
            self._send_now(COMMENT)
        elif self._pump is None:
            self._ping = True
            self.wake()

    def end(self) -> None:
        """End the stream in good order; a client that does not read just now is cut."""
        self._ending = True
        if self.writing_since != math.inf:
            self._cut()
        self.wake()

    def cut(self) -> None:
        """The client does not read: end the connection."""
        _log.info("event_stream_cut", seconds=round(time.monotonic() - self.writing_since, 3))
        self._cut()

    def close(self) -> None:
        """The connection is gone."""
        self._done = True
        self._topic.leave(self)
        if self._pump is not None:
            self._pump.cancel()

    def wake(self) -> None:
        """Write what there is to write, if that is not under way."""
        if self._pump is None and not self._done:
            self._pump = asyncio.create_task(self._write_all())

    def _passed_on(self, frame: Frame) -> bool:
        """Write it at once, if that can be; False: it must wait."""
        if not self._writes_at_once():
            return False
        self.position = self._sent = frame.position
        self._at_end = frame.last
        if not self._send_now(frame.data):
            return True
        SSE_EVENTS.inc()
        EVENT_LAG.observe(max(time.time() - frame.at / 1000, 0))
        if self._at_end:
            self.wake()
        return True

    def _writes_at_once(self) -> bool:
        """Whether nothing goes before what comes now, and the connection has room.

        Waking a task for each client would be most of what a crowd costs.
        """
        idle = self._pump is None and not (self._done or self._ending)
        return idle and self._send_buffer.is_writable()

    def _send_now(self, data: bytes) -> bool:
        """One step of `send`, which is all that it takes where there is room; if not, that is our fault."""
        message = {"type": "http.response.body", "body": data, "more_body": True}
        sending = cast("Coroutine[object, None, None]", self._send(message))
        try:
            sending.send(None)
        except StopIteration:
            return True
        except Exception:  # noqa: BLE001 - whatever it is, it must not reach the other clients
            _log.exception("event_not_written")
        sending.close()
        self._cut()
        return False

    def _cut(self) -> None:
        self.writing_since = math.inf
        self.aborted = True
        self._send_buffer.abort()

    async def _write_all(self) -> None:
        self._writers.add(self)
        sound = False
        try:
            while not self._done and await self._step():
                pass
            sound = True
        except StoreOutage:
            sound = True  # still behind: the relay's next check wakes this up again
        except Exception as error:  # noqa: BLE001 - told; the connection is cut, and the client comes back
            report_unexpected("loop:subscriber", error)
        finally:
            self._pump = None
            self._writers.discard(self)
            if not sound:
                self._cut()

    async def _step(self) -> bool:
        """Write one thing; False when there is nothing left."""
        if self._opening or self._ping:
            await self._write_first()
        elif self._ending:
            return await self._finish()
        elif self._backlog is not None:
            await self._write_live(self._take(self._backlog))
        elif self._behind:
            return await self._write_history()
        else:
            return await self._finish() if self._at_end else False
        return True

    def _take(self, backlog: Backlog) -> list[Frame]:
        """The next frames; a backlog is kept only while there is something in it."""
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
        epoch = self._epoch
        page = await self._topic.page(self.position)
        if self._done:
            return False
        if epoch != self._epoch:
            return True
        if page.frames or page.first:
            if page.first != self.position + 1:
                return await self._finish()  # trimmed meanwhile: a snapshot awaits the client's return
            for start in range(0, len(page.frames), 32):
                await self._write_frames(page.frames[start : start + 32])
                if epoch != self._epoch:
                    return True
            self.position = self._sent = page.upto
        elif self.position < self._topic.position:
            return await self._finish()
        self._behind = not self._topic.admit(self)
        return True

    async def _write_frames(self, frames: list[Frame]) -> None:
        epoch = self._epoch
        self._sent = frames[-1].position  # before the write: what is on its way is never read again
        await self._write(b"".join([frame.data for frame in frames]))
        if epoch == self._epoch:
            self._at_end = frames[-1].last
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
