"""`GET /files/{token}`: a file of our own storage, streamed, by a token that says which.

Who calls it: the router. The token is the only credential, and grants one file until a moment.
"""

import time
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from image2model.api import byte_range, client_gone
from image2model.api.access_state import state_of
from image2model.api.jobs_state import JobsState
from image2model.errors import NotFound
from image2model.storage.errors import ObjectMissing
from image2model.storage.files_token import FileGrant, verify
from image2model.storage.objects import ObjectStorage
from image2model.storage.reader import ObjectMeta

_PIECE: Final = 256 << 10


async def file(request: Request) -> Response:
    """200, 206, 304 or 416; 404 for a token that is not ours, 410 for one that has run out."""
    state = state_of(request, JobsState)
    grant = await _granted(state, request.path_params["token"])
    try:
        meta = await state.storage.head(grant.key)
    except ObjectMissing:
        raise NotFound("This file is no longer there.") from None
    headers = _headers(grant, meta)
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return _content(request, state.storage, grant, meta, headers)


async def _granted(state: JobsState, token: str) -> FileGrant:
    """What the token grants. Raises NotFound, Expired."""
    try:
        return verify(await state.signing.get(), token, time.time())
    except NotFound:  # another replica may have met the store's new secret first
        return verify(await state.signing.renewed(), token, time.time())


def _content(
    request: Request, storage: ObjectStorage, grant: FileGrant, meta: ObjectMeta, headers: dict[str, str]
) -> Response:
    wanted = request.headers.get("range")
    if wanted is None or request.headers.get("if-range", headers["ETag"]) != headers["ETag"]:
        return FileAnswer(storage, grant.key, 0, meta.size, 200, headers)
    try:
        found = byte_range.parse(wanted, meta.size)
    except byte_range.Unsatisfiable:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{meta.size}"})
    if found is None:
        return FileAnswer(storage, grant.key, 0, meta.size, 200, headers)
    start, end = found
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{meta.size}"
    return FileAnswer(storage, grant.key, start, end, 206, headers)


def _headers(grant: FileGrant, meta: ObjectMeta) -> dict[str, str]:
    tag = (meta.etag or f"{meta.size:x}-{meta.modified.timestamp():.0f}").strip('"').removeprefix("W/")
    return {
        "ETag": '"' + tag.strip('"') + '"',
        "Accept-Ranges": "bytes",
        "Content-Disposition": disposition(grant.filename),
        "Content-Type": grant.content_type,
        "Cache-Control": f"private, max-age={max(0, int(grant.expires_at - time.time()))}",
    }


def disposition(filename: str) -> str:
    """`attachment` under the name, by RFC 6266: an ASCII form for old clients, and the true one."""
    plain = "".join(char if 32 <= ord(char) < 127 and char not in '"\\%' else "_" for char in filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


class FileAnswer(Response):
    """The bytes from `start` to `end` (exclusive), piece by piece as the client takes them."""

    def __init__(
        self, storage: ObjectStorage, key: str, start: int, end: int, status: int, headers: dict[str, str]
    ) -> None:
        super().__init__(None, status, {**headers, "Content-Length": str(end - start)})
        self._storage = storage
        self._key = key
        self._start = start
        self._end = end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. A file that vanishes meanwhile cuts the answer off, which its length gives away."""
        empty = scope["method"] == "HEAD" or self._start == self._end
        reader = None if empty else await self._storage.open(self._key, start=self._start, end=self._end)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if reader is not None:
            with client_gone.watching(receive) as gone:
                async for piece in reader.chunks(_PIECE):
                    if gone():
                        return
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
