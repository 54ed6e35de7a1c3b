"""An HTTP server whose connections can be severed, which ASGI has no word for.

Who calls it: the process that serves passes `SeverableProtocol` to uvicorn as `http=`; the stream endpoint
uses `severing`. A closed connection goes on waiting for a client that never reads, and holds what was
written to it; a severed one is gone at once.
"""

import asyncio
from collections.abc import Callable
from typing import Final, cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_ABORT: Final = "image2model.abort"
_FIRST_REQUEST_S: Final = 0.5
"""How long a connection that has asked nothing yet may live on when the process stops."""


class SeverableProtocol(HttpToolsProtocol):
    """uvicorn's own protocol; each request's scope can end its connection."""

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.scope[_ABORT] = self.transport.abort  # type: ignore[typeddict-unknown-key]

    def shutdown(self) -> None:
        """uvicorn's hook for the stop of the process.

        A connection that was just made has its request on the way: closed now, it would be lost without a
        word, and a proxy must not send an upload a second time.
        """
        if cast("object | None", self.cycle) is None:  # uvicorn types it as it is from the first request on
            self.loop.call_later(_FIRST_REQUEST_S, super().shutdown)
        else:
            super().shutdown()


def severing(scope: Scope, handler: "asyncio.Task[None]") -> Callable[[], None]:
    """What ends the request's connection; on another server than ours its handler is cancelled."""
    abort: Callable[[], None] | None = scope.get(_ABORT)
    if abort is not None:
        return abort

    def cancel() -> None:
        handler.cancel()

    return cancel
