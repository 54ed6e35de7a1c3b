"""Adds to every answer the security headers that its route did not set, and the headers left by the gate."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [*message["headers"], *scope.get(RESPONSE_HEADERS, ())]
                named = {name for name, _ in own}
                message["headers"] = [*own, *(header for header in _ENCODED if header[0] not in named)]
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)
