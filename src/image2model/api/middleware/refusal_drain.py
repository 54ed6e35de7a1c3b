"""Answers that come before the body was read: read and drop the rest first.

Who calls it: the application. A server closes the connection of a client that is still sending when the
answer ends; the client then sees a reset and not the answer. Dropping is bounded in bytes and time, and a
408 is not delayed: that sender is the one that would take for ever. Who asks first (`Expect: 100-continue`)
is answered at once, for reading would tell it to send all of it, and so is everybody when the process stops.
"""

import asyncio
from collections.abc import Awaitable
from time import monotonic
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PATIENCE_S: Final = 0.3
"""A client that asks first waits at least so long for a word before it sends (.NET 0.35 s, curl 1 s)."""


class RefusalDrain:
    """`max_bytes` counts the whole body, read or dropped; `seconds` only the dropping."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, seconds: float = 10.0) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.seconds = seconds

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """What has no body passes by: as a coroutine this would be one more frame of each open stream."""
        if scope["type"] != "http" or not _has_body(scope):
            return self.app(scope, receive, send)
        return self._drained(scope, receive, send)

    async def _drained(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = _Body(receive, asks_first=_asks_first(scope))

        async def send_after_body(message: Message) -> None:
            if message["type"] == "http.response.start" and not body.finished:
                await self._finish(body, message)
            await send(message)

        await self.app(scope, body.receive, send_after_body)

    async def _finish(self, body: "_Body", start: Message) -> None:
        if start["status"] != 408 and not body.is_held_back() and not _is_cancelled():
            await body.drain(self.max_bytes, self.seconds)
        if not body.finished:
            MutableHeaders(scope=start)["Connection"] = "close"


class _Body:
    """A `receive` that knows how much has come and whether that was all."""

    def __init__(self, receive: Receive, *, asks_first: bool) -> None:
        self._receive = receive
        self._begun = monotonic()
        self._asks_first = asks_first
        self._received = 0
        self.finished = False

    def is_held_back(self) -> bool:
        """Whether the client still waits to be told to send it."""
        return self._asks_first and monotonic() - self._begun < _PATIENCE_S

    async def receive(self) -> Message:
        self._asks_first = False
        message = await self._receive()
        self._received += len(message.get("body", b""))
        self.finished = self.finished or not message.get("more_body", False)
        return message

    async def drain(self, max_bytes: int, seconds: float) -> None:
        """Drop the rest; `finished` says whether it all came."""
        try:
            async with asyncio.timeout(seconds):
                while not self.finished and self._received <= max_bytes:
                    await self.receive()
        except TimeoutError:
            return


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )


def _is_cancelled() -> bool:
    """Whether this request's handler must end: the process stops, and waits for nobody any more."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _asks_first(scope: Scope) -> bool:
    asked = (b"expect", b"100-continue")
    return any((name, value.lower()) == asked for name, value in scope["headers"])
