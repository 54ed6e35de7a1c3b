"""The connection of a stream, as ASGI does not show it: it can be aborted, and may be unable to take more.

`AbortableProtocol` puts a `Connection` into each request's scope. A closed connection keeps waiting for a
client that never reads, and holds what was written to it; an aborted one is gone at once.
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

    def is_writable(self) -> bool:
        """Whether a body message can be sent without waiting."""


class Connection:
    """The send buffer on our own protocol. It has no reference to the request, so it keeps none alive."""

    __slots__ = ("_flow", "_transport")

    def __init__(self, transport: asyncio.Transport, flow: FlowControl) -> None:
        self._transport = transport
        self._flow = flow

    def abort(self) -> None:
        self._transport.abort()

    def is_writable(self) -> bool:
        return not (self._flow.write_paused or self._transport.is_closing())


class _Handler:
    """The send buffer on another server: `abort` cancels the handler, and a write may always block."""

    def __init__(self, handler: "asyncio.Task[None]") -> None:
        self._handler = handler

    def abort(self) -> None:
        self._handler.cancel()

    def is_writable(self) -> bool:
        return False


def send_buffer_of(scope: Scope, handler: "asyncio.Task[None]") -> SendBuffer:
    """The send buffer of a request; `handler` is the task that answers it."""
    send_buffer: SendBuffer | None = scope.get(SEND_BUFFER)
    return send_buffer or _Handler(handler)
