"""An event stream for as long as the caller's key is good.

Who calls it: the router, around each endpoint of `events`.
"""

import asyncio
from typing import Final

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from image2model.api.events.outlet import outlet_of
from image2model.api.principal import Principal
from image2model.api.state import state_of

_CALLER: Final = "image2model.principal"


class GuardedStream:
    """Asks who comes before the stream does, and has it ended when that one may no longer see it."""

    def __init__(self, stream: ASGIApp) -> None:
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises what authentication and the stream raise."""
        gate = state_of(HTTPConnection(scope)).gate
        principal = scope[_CALLER] = await gate.authenticate(scope)
        handler = asyncio.current_task()
        assert handler is not None  # noqa: S101 - a coroutine that runs is in a task
        with gate.watching(principal, outlet_of(scope, handler).sever):
            await self._stream(scope, receive, send)


async def caller_of(scope: Scope) -> Principal:
    """Whom the guard has let in."""
    found: Principal = scope[_CALLER]
    return found
