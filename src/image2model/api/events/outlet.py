"""What a stream must know of its connection, and ASGI has no word for: an end at once, and room to write.

Who calls it: the process that serves passes `SeverableProtocol` to uvicorn as `http=`; the stream endpoint
asks for the `outlet_of` its request. A closed connection goes on waiting for a client that never reads, and
holds what was written to it; a severed one is gone at once.
"""

import asyncio
from typing import Final, Protocol, cast

from starlette.types import Scope
from uvicorn.protocols.http.flow_control import FlowControl

from image2model.api.bounded_protocol import BoundedProtocol

_OUTLET: Final = "image2model.outlet"
HEAD_S: Final = 60.0
"""How long a request's head may take, the silence before the first one included."""
_FIRST_REQUEST_S: Final = 0.5
"""How long a connection that has asked nothing yet may live on when the process stops."""


class Outlet(Protocol):
    """One request's way to its client."""

    def sever(self) -> None:
        """End the connection at once, whatever the client has still to read."""

    def has_room(self) -> bool:
        """Whether a body message would be taken without waiting."""


class _Connection:
    """On our own protocol. It knows no request, so that none is kept alive by it."""

    __slots__ = ("_flow", "_transport")

    def __init__(self, transport: asyncio.Transport, flow: FlowControl) -> None:
        self._transport = transport
        self._flow = flow

    def sever(self) -> None:
        self._transport.abort()

    def has_room(self) -> bool:
        return not (self._flow.write_paused or self._transport.is_closing())


class _Handler:
    """On another server than ours: the handler is cancelled, and room is never certain."""

    def __init__(self, handler: "asyncio.Task[None]") -> None:
        self._handler = handler

    def sever(self) -> None:
        self._handler.cancel()

    def has_room(self) -> bool:
        return False


class SeverableProtocol(BoundedProtocol):
    """uvicorn's own protocol; each request's scope leads to its connection, and no head takes for ever."""

    head_s = HEAD_S
    _head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's
        """A client is there, and has yet to say something."""
        super().connection_made(transport)
        self._time_head()

    def data_received(self, data: bytes) -> None:
        """Bytes of requests: most heads are whole in them, and need no timer.

        Empty lines between requests begin no head, and yet end uvicorn's own wait for one.
        """
        super().data_received(data)
        if self._head_due is None and (self._in_head or self.is_idle()):
            self._time_head()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.scope[_OUTLET] = _Connection(self.transport, self.flow)  # type: ignore[typeddict-unknown-key]

    def on_headers_complete(self) -> None:
        """A head is whole."""
        self._forget_head()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, or was sent away."""
        self._forget_head()
        super().connection_lost(exc)

    def _time_head(self) -> None:
        self._head_due = self.loop.call_later(self.head_s, self.transport.close)

    def _forget_head(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def shutdown(self) -> None:
        """uvicorn's hook for the stop of the process.

        A connection that was just made has its request on the way: closed now, it would be lost without a
        word, and a proxy must not send an upload a second time.
        """
        if cast("object | None", self.cycle) is None:  # uvicorn types it as it is from the first request on
            self.loop.call_later(_FIRST_REQUEST_S, super().shutdown)
        else:
            super().shutdown()


def outlet_of(scope: Scope, handler: "asyncio.Task[None]") -> Outlet:
    """The request's way out."""
    outlet: Outlet | None = scope.get(_OUTLET)
    return outlet or _Handler(handler)
