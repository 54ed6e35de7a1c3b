"""The connection of a stream, as ASGI does not show it: it can be aborted, and written to without waiting.

`AbortableProtocol` puts a `Connection` into each request's scope. A closed connection keeps waiting for a
client that never reads, and holds what was written to it; an aborted one is gone at once. What a stream
writes directly passes no layer of the application: none of them has anything to do with a body.
"""

import asyncio
from typing import Final, Protocol

from starlette.types import Scope
from uvicorn.protocols.http.flow_control import FlowControl

SEND_BUFFER: Final = "image2model.send_buffer"
"""The scope's key of its `SendBuffer`."""


class SendBuffer(Protocol):
    """The connection of one request, as far as a stream needs it."""

    def abort(self) -> None:
        """End the connection at once, without waiting for the client to read."""

    def write_now(self, data: bytes) -> bool:
        """Send a part of the body without waiting; False: nothing was sent, because that is not possible.

        The answer has begun, in chunks (RFC 9112, 7.1), and goes on after it; `data` is not empty.
        """


class Connection:
    """The send buffer on our own protocol. It has no reference to the request, so it keeps none alive.

    `written`: bytes of the body that were sent by `write_now`.
    """

    __slots__ = ("_flow", "_transport", "written")

    def __init__(self, transport: asyncio.Transport, flow: FlowControl) -> None:
        self._transport = transport
        self._flow = flow
        self.written = 0

    def abort(self) -> None:
        self._transport.abort()

    def write_now(self, data: bytes) -> bool:
        if self._flow.write_paused or self._transport.is_closing():
            return False
        size = len(data)
        self._transport.write(b"%x\r\n%b\r\n" % (size, data))
        self.written += size
        return True


class _Handler:
    """The send buffer on another server: `abort` cancels the handler, and any write may have to wait."""

    def __init__(self, handler: "asyncio.Task[None]") -> None:
        self._handler = handler

    def abort(self) -> None:
        self._handler.cancel()

    def write_now(self, data: bytes) -> bool:
        del data
        return False


def send_buffer_of(scope: Scope, handler: "asyncio.Task[None]") -> SendBuffer:
    """The send buffer of a request; `handler` is the task that answers it."""
    send_buffer: SendBuffer | None = scope.get(SEND_BUFFER)
    return send_buffer or _Handler(handler)


def written_directly(scope: Scope) -> int:
    """The bytes of a request's answer that no layer has seen, because they were sent by `write_now`."""
    connection: Connection | None = scope.get(SEND_BUFFER)
    return 0 if connection is None else connection.written
