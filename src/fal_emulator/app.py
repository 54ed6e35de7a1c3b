"""The application: every FAL host behind one base URL.

`create_app` is called by the command line and by tests; it does no I/O. Run it with uvicorn: two faults
close the connection without a reply, which needs the server's transport.
"""

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from fal_emulator import control_routes, endpoint_routes, platform_routes, privacy_routes, storage_routes
from fal_emulator.config import Config
from fal_emulator.queue_routes import queue
from fal_emulator.replies import detail
from fal_emulator.state import State


class Emulator(Starlette):
    """Starlette, with the server's own `send` kept in the scope for the faults that need the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["emulator.send"] = send
        await super().__call__(scope, receive, send)


def create_app(config: Config | None = None) -> Emulator:
    """A new emulator with a state of its own: `app.state.emulator` once it has started."""
    chosen = config or Config()

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        state = State(chosen)
        app.state.emulator = state
        yield
        state.close()
        state.disk.close()

    routes = [*control_routes.ROUTES, *endpoint_routes.ROUTES, *privacy_routes.ROUTES]
    routes += [*storage_routes.ROUTES, *platform_routes.ROUTES]
    routes.append(Route("/{path:path}", queue, methods=["GET", "POST", "PUT"]))
    handlers = {HTTPException: _http_error, Exception: _http_error}
    return Emulator(routes=routes, lifespan=lifespan, exception_handlers=handlers)


async def _http_error(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500  # the server logs those
    return detail(status, str(error) if status != 500 else "Internal server error")
