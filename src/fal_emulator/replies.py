"""The answers that routes give: JSON, refusals, nginx's page, and connections that never get one.

Every reply carries `x-fal-request-id`, except nginx's: a client tells FAL's own 503 from an ingress
failure by that header.
"""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fal_emulator.faults import Fault
from fal_emulator.generation import Answer

_encode = msgspec.json.Encoder().encode


def json_reply(
    body: object, status: int = 200, request_id: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """JSON with `x-fal-request-id`: the generation's, or a new one for a reply that is about none."""
    named = {"x-fal-request-id": request_id or str(uuid4()), **(headers or {})}
    return Response(_encode(body), status, named, "application/json")


def answer_reply(answer: Answer, request_id: str) -> Response:
    """A generation's own answer."""
    return json_reply(answer.body, answer.status, request_id, answer.headers)


def detail(status: int, message: str, request_id: str | None = None) -> Response:
    """`{"detail": …}`."""
    return json_reply({"detail": message}, status, request_id)


def refusal(fault: Fault, endpoint: str) -> Response | None:
    """The reply of a fault that refuses the submit; None for one that accepts it."""
    if fault is Fault.NGINX_502:
        return _nginx(502, "Bad Gateway")
    if fault is Fault.NGINX_503:
        return _nginx(503, "Service Temporarily Unavailable")
    if fault is Fault.TOO_MANY:
        return detail(429, "Too many requests")
    if fault is Fault.UNAUTHORIZED:
        return unauthorized()
    if fault is Fault.ENDPOINT_403:
        return detail(403, f"This account has no access to {endpoint}.")
    if fault is Fault.ENDPOINT_DOWN:
        return _endpoint_down()
    if fault is Fault.LOCKED:
        return detail(403, "User is locked. Reason: Exhausted balance. Top up the balance of the account.")
    return None


def _endpoint_down() -> Response:
    body = {"detail": "No runner of this endpoint could be reached", "error_type": "runner_connection_error"}
    return json_reply(body, 503, headers={"X-Fal-Error-Type": "runner_connection_error"})


def unauthorized() -> Response:
    """401: no key, or one of a wrong form."""
    return detail(401, "Authentication is required: send Authorization: Key <id>:<secret>")


def html(status: int, title: str, headers: Mapping[str, str] | None = None) -> Response:
    """A page where JSON or a file is expected."""
    page = f"<!doctype html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return Response(page, status, {"x-fal-request-id": str(uuid4()), **(headers or {})}, "text/html")


def _nginx(status: int, reason: str) -> Response:
    title = f"{status} {reason}"
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return Response(page, status, {"server": "nginx"}, "text/html")


class Unanswered(Response):
    """No reply at all: the connection is closed at once, or (`hang`) when the client or the emulator goes.

    The only place that knows the server: uvicorn's `send` belongs to the cycle that holds the connection.
    """

    def __init__(self, closing: asyncio.Event, *, hang: bool) -> None:
        super().__init__()
        self._closing = closing
        self._hang = hang

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - no reply
        if self._hang:
            await until_gone(receive, self._closing)
        cycle: Any = scope["emulator.send"]
        cycle.__self__.transport.close()
        await disconnected(receive)


async def until_gone(receive: Receive, closing: asyncio.Event) -> None:
    """Returns when the client has closed the connection or the emulator is about to end."""
    waits = {asyncio.ensure_future(disconnected(receive)), asyncio.ensure_future(closing.wait())}
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def disconnected(receive: Receive) -> None:
    """Returns when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def base_url(request: Request) -> str:
    """Scheme and host as the client wrote them: every URL in a reply starts with it."""
    host = request.headers.get("host") or "127.0.0.1"
    return f"{request.url.scheme}://{host}"


def key_id(request: Request) -> str | None:
    """The id in `Authorization: Key <id>:<secret>`, None without such a header."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    name, colon, secret = credentials.strip().partition(":")
    return name if scheme.lower() == "key" and name and colon and secret else None
