"""`GET /download/{job_id}/archive.zip`: the models of a job in one stream. Who calls it: the router.

Whatever goes wrong after the first byte cuts the connection: an archive is whole or visibly broken.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from image2model.api import client_gone
from image2model.api.access_state import state_of
from image2model.api.files import disposition
from image2model.api.jobs_state import JobsState
from image2model.service import archive, ownership

_SEND_SECONDS: Final = 60.0
_HEADERS: Final = {"Cache-Control": "private, no-store", "X-Accel-Buffering": "no"}


async def download(request: Request) -> Response:
    """200 with the ZIP; 409 `not_ready` where no model is finished."""
    state = state_of(request, JobsState)
    principal = await state.authenticate(request.scope)
    job = await ownership.snapshot(state.redis, principal.owner, request.path_params["job_id"])
    packing = archive.entries(job)
    headers = {**_HEADERS, "Content-Disposition": disposition(f"image2model-{job.job_id[:8]}.zip")}
    return ArchiveAnswer(archive.pieces(state.storage, job, packing), headers)


class ArchiveAnswer(Response):
    """Sends the pieces as the client takes them, and stops reading when it is gone."""

    media_type = "application/zip"

    def __init__(self, pieces: AsyncGenerator[bytes, None], headers: dict[str, str]) -> None:
        super().__init__(None, 200, headers)
        del self.headers["content-length"]
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises StorageError before the first byte, so that it can still be answered, or in the middle."""
        with client_gone.watching(receive) as gone:
            async with aclosing(self._pieces) as pieces:
                first = await anext(pieces)
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                if scope["method"] != "HEAD":
                    await self._body(first, pieces, gone, send)
            await send({"type": "http.response.body", "body": b""})

    async def _body(
        self, first: bytes, pieces: AsyncGenerator[bytes, None], gone: Callable[[], bool], send: Send
    ) -> None:
        await _send(send, first)
        async for piece in pieces:
            if gone():
                return
            await _send(send, piece)


async def _send(send: Send, piece: bytes) -> None:
    async with asyncio.timeout(_SEND_SECONDS):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
