"""An ASGI application: routes, and the layers around them.

It takes the place of Starlette's own application, which adds two layers for exceptions. `ProblemAnswers` does
their work. Each layer costs every message a call and every open event stream its frames: these two and the
router's entry were 3 KiB a stream.
"""

from collections.abc import Awaitable, Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send


class Application:
    """`layers` outermost first; one of them must answer what the routes raise, `HTTPException` too."""

    def __init__(
        self,
        routes: Sequence[BaseRoute],
        *,
        layers: Sequence[Middleware],
        lifespan: Lifespan[Starlette] | None = None,
    ) -> None:
        # a redirect to the path with a slash would be unauthenticated, with the Host that was sent
        app: ASGIApp = Router(routes, redirect_slashes=False, lifespan=lifespan).app
        for layer, arguments, options in reversed(layers):
            app = layer(app, *arguments, **options)
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Not a coroutine, which would add a stack frame to each open stream."""
        scope["app"] = self  # without it, Starlette's routes answer 404 and 405 themselves
        return self._app(scope, receive, send)
