"""The reply that hands out a stored file: whole, a range of it, or as a fault of its transfer says.

Called by the storage routes.
"""

import asyncio
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from fal_emulator.faults import Fault
from fal_emulator.files import StoredFile
from fal_emulator.replies import disconnected, html, until_gone
from fal_emulator.state import State

_PIECE = 1 << 18
_SLOW_PIECES = 50
_DIRECT = "direct"


def file_reply(request: Request, state: State, file: StoredFile) -> Response:
    """The answer to GET or HEAD of a file."""
    headers = {"x-fal-request-id": uuid4().hex, "accept-ranges": "bytes"}
    match file.transfer:
        case Fault.FILE_EMPTY:
            return Response(b"", 200, headers, file.content_type)
        case Fault.FILE_HTML:
            return html(200, "Sign in to continue", headers)
        case Fault.FILE_REDIRECT if _DIRECT not in request.query_params:
            return RedirectResponse(str(request.url.include_query_params(**{_DIRECT: 1})), 302, headers)
    status, data = 200, file.data
    span = _span(request.headers.get("range", ""), len(data))
    if span is not None:
        headers["content-range"] = f"bytes {span[0]}-{span[1]}/{len(data)}"
        status, data = 206, data[span[0] : span[1] + 1]
    if request.method == "HEAD":
        headers["content-length"] = str(len(data))
        return Response(b"", status, headers, file.content_type)
    slow = state.settings.slow_transfer if file.transfer is Fault.FILE_SLOW else 0.0
    stuck = state.closing if file.transfer is Fault.FILE_STUCK else None
    if len(data) <= _PIECE and not slow and stuck is None:
        return Response(bytes(data), status, headers, file.content_type)
    return _Transfer(memoryview(data), status, headers, file.content_type, slow=slow, stuck=stuck)


class _Transfer(Response):
    """The bytes in pieces, so that a large file fills no buffer.

    `slow`: seconds that it takes; `stuck`: no byte at all, until the client has gone or this is set.
    """

    def __init__(
        self,
        data: memoryview,
        status: int,
        headers: dict[str, str],
        content_type: str,
        *,
        slow: float,
        stuck: asyncio.Event | None,
    ) -> None:
        super().__init__(None, status, {**headers, "content-length": str(len(data))}, content_type)
        self._data = data
        self._slow = slow
        self._stuck = stuck

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        if self._stuck is not None:
            await send({"type": "http.response.body", "body": b"", "more_body": True})  # the head goes out
            await until_gone(receive, self._stuck)
            scope["emulator.send"].__self__.transport.close()
            await disconnected(receive)
            return
        piece = max(1, -(-len(self._data) // _SLOW_PIECES)) if self._slow else _PIECE
        for at in range(0, len(self._data), piece):
            if at and self._slow:
                await asyncio.sleep(self._slow / _SLOW_PIECES)
            body = bytes(self._data[at : at + piece])
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _span(header: str, size: int) -> tuple[int, int] | None:
    """First and last byte of a single satisfiable range, else None: then the whole file is served."""
    unit, _, ranges = header.partition("=")
    low, dash, high = ranges.partition("-")
    if unit != "bytes" or not dash or not (low + high).isdigit():
        return None
    first = int(low) if low else max(0, size - int(high))
    last = min(int(high), size - 1) if low and high else size - 1
    return (first, last) if first <= last else None
