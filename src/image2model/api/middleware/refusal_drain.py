"""Answers that come before the body was read: read and drop the rest first.

Who calls it: the application. A server closes the connection of a client that is still sending when the
answer ends; the client then sees a reset and not the answer. Dropping is bounded in bytes and time, and a
408 is not delayed: that sender is the one that would take for ever.
"""

import asyncio

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RefusalDrain:
    """`max_bytes` counts the whole body, read or dropped; `seconds` only the dropping."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, seconds: float = 10.0) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope):
            await self.app(scope, receive, send)
            return
        body = _Body(receive)

        async def send_after_body(message: Message) -> None:
            if message["type"] == "http.response.start" and not body.finished:
                await self._finish(body, message)
            await send(message)

        await self.app(scope, body.receive, send_after_body)

    async def _finish(self, body: "_Body", start: Message) -> None:
        if start["status"] != 408:
            await body.drain(self.max_bytes, self.seconds)
        if not body.finished:
            MutableHeaders(scope=start)["Connection"] = "close"


class _Body:
    """A `receive` that knows how much has come and whether that was all."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._received = 0
        self.finished = False

    async def receive(self) -> Message:
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
