"""Reads and drops the rest of a body before an early refusal is sent.

When an answer ends while the client is still sending, the server closes the connection, and the client sees a
reset in place of the answer. Draining is bounded in bytes and time. Three answers are never delayed: a 408,
whose sender is too slow to be waited for; the answer to `Expect: 100-continue`, because reading would make
the client send the whole body; and any answer while the process stops.
"""

import asyncio
from collections.abc import Awaitable
from time import monotonic
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CONTINUE_WAIT_S: Final = 0.3
"""Clients with `Expect: 100-continue` wait at least so long before they send (.NET 0.35 s, curl 1 s)."""


class RefusalDrain:
    """`max_bytes` limits the whole body, read or dropped; `seconds` limits the draining only."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, seconds: float = 10.0) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.seconds = seconds

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Not a coroutine, which would add a stack frame to each open stream."""
        if scope["type"] != "http" or not _has_body(scope):
            return self.app(scope, receive, send)
        return self._drained(scope, receive, send)

    async def _drained(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = _Body(receive, expects_continue=_expects_continue(scope))

        async def send_after_body(message: Message) -> None:
            if message["type"] == "http.response.start" and not body.finished:
                await self._finish(body, message)
            await send(message)

        await self.app(scope, body.receive, send_after_body)

    async def _finish(self, body: "_Body", start: Message) -> None:
        if start["status"] != 408 and not body.awaits_continue() and not _is_cancelled():
            await body.drain(self.max_bytes, self.seconds)
        if not body.finished:
            MutableHeaders(scope=start)["Connection"] = "close"


class _Body:
    """A `receive` that counts the body and knows whether it is complete."""

    def __init__(self, receive: Receive, *, expects_continue: bool) -> None:
        self._receive = receive
        self._started = monotonic()
        self._expects_continue = expects_continue
        self._received = 0
        self.finished = False

    def awaits_continue(self) -> bool:
        """Whether the client still waits for the permission to send the body."""
        return self._expects_continue and monotonic() - self._started < _CONTINUE_WAIT_S

    async def receive(self) -> Message:
        self._expects_continue = False
        message = await self._receive()
        self._received += len(message.get("body", b""))
        self.finished = self.finished or not message.get("more_body", False)
        return message

    async def drain(self, max_bytes: int, seconds: float) -> None:
        """Read and drop the rest; `finished` says whether the body is complete."""
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
    """Whether this request's task was cancelled, because the process stops."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _expects_continue(scope: Scope) -> bool:
    expect = (b"expect", b"100-continue")
    return any((name, value.lower()) == expect for name, value in scope["headers"])
