"""uvicorn's HTTP protocol whose requests know their connection, and whose heads take no longer than a minute.

Who calls it: the server passes it to uvicorn as `http=`.
"""

import asyncio
from typing import Final, cast

from image2model.api.bounded_protocol import BoundedProtocol
from image2model.api.events.outlet import OUTLET, Connection

HEAD_S: Final = 60.0
"""How long a request's head may take, the silence before the first one included."""
_FIRST_REQUEST_S: Final = 0.5
"""How long a connection that has asked nothing yet may live on when the process stops."""


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
        self.scope[OUTLET] = Connection(self.transport, self.flow)  # type: ignore[typeddict-unknown-key]

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
