"""What a stream must know of its connection, and ASGI has no word for: an end at once, and room to write.

Who calls it: the process that serves passes `SeverableProtocol` to uvicorn as `http=`; the stream endpoint
asks for the `outlet_of` its request. A closed connection goes on waiting for a client that never reads, and
holds what was written to it; a severed one is gone at once.
"""

import asyncio
from typing import Final, Protocol

from starlette.types import Scope
from uvicorn.protocols.http.flow_control import FlowControl

SEND_BUFFER: Final = "image2model.outlet"
"""Where a scope holds it."""


class SendBuffer(Protocol):
    """One request's way to its client."""

    def abort(self) -> None:
        """End the connection at once, whatever the client has still to read."""

    def is_writable(self) -> bool:
        """Whether a body message would be taken without waiting."""


class Connection:
    """On our own protocol. It knows no request, so that none is kept alive by it."""

    __slots__ = ("_flow", "_transport")

    def __init__(self, transport: asyncio.Transport, flow: FlowControl) -> None:
        self._transport = transport
        self._flow = flow

    def abort(self) -> None:
        self._transport.abort()

    def is_writable(self) -> bool:
        return not (self._flow.write_paused or self._transport.is_closing())


class _Handler:
    """On another server than ours: the handler is cancelled, and room is never certain."""

    def __init__(self, handler: "asyncio.Task[None]") -> None:
        self._handler = handler

    def abort(self) -> None:
        self._handler.cancel()

    def is_writable(self) -> bool:
        return False


def send_buffer_of(scope: Scope, handler: "asyncio.Task[None]") -> SendBuffer:
    """The request's way out."""
    send_buffer: SendBuffer | None = scope.get(SEND_BUFFER)
    return send_buffer or _Handler(handler)
