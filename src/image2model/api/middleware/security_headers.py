"""Adds to every answer the security headers that its route did not set, and the headers left by the gate."""

from collections.abc import Awaitable
from functools import partial
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from image2model.api.middleware.answer import Answer, Head
from image2model.http.bodies import RESPONSE_HEADERS

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
}
_ENCODED: Final = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


class SecurityHeaders:
    """The web page sets its own Content-Security-Policy; data needs nothing to be loaded."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Not a coroutine, which would add a stack frame to each open stream."""
        if scope["type"] != "http":
            return self.app(scope, receive, send)
        answer = Answer.of(send)
        answer.on_head(partial(_complete, scope))
        return self.app(scope, receive, answer)


def _complete(scope: Scope, head: Head) -> None:
    own = [*head["headers"], *scope.get(RESPONSE_HEADERS, ())]
    named = {name for name, _ in own}
    head["headers"] = [*own, *(header for header in _ENCODED if header[0] not in named)]
