"""An HTTP server whose connections can be severed, which ASGI has no word for.

Who calls it: the process that serves passes `SeverableProtocol` to uvicorn as `http=`; the stream endpoint
uses `severing`. A closed connection goes on waiting for a client that never reads, and holds what was
written to it; a severed one is gone at once.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_ABORT: Final = "image2model.abort"


class SeverableProtocol(HttpToolsProtocol):
    """uvicorn's own protocol; each request's scope can end its connection."""

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.scope[_ABORT] = self.transport.abort  # type: ignore[typeddict-unknown-key]


def severing(scope: Scope, handler: "asyncio.Task[None]") -> Callable[[], None]:
    """What ends the request's connection; on another server than ours its handler is cancelled."""
    abort: Callable[[], None] | None = scope.get(_ABORT)
    if abort is not None:
        return abort

    def cancel() -> None:
        handler.cancel()

    return cancel
