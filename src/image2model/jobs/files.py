"""`GET /files/{token}`: a file of our own storage, by a signed token that expires. Ranges are served.

A token grants one file until a moment. It carries everything that it grants, so nothing is looked up. The
same arguments give the same token, so a caller that rounds `expires_at` gets URLs that caches can keep.
"""

import base64
import binascii
import hashlib
import hmac
import re
import time
from typing import Final
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from image2model.access.state import state_of
from image2model.errors import Expired, NotFound
from image2model.http import bodies
from image2model.jobs.state import JobsState
from image2model.storage.errors import ObjectMissing
from image2model.storage.objects import ObjectMeta, ObjectStorage

# Half of SHA-256: 128 bits cannot be guessed, and keep the URL short (RFC 2104, section 5).
_TAG_BYTES = 16
_CONTEXT = b"image2model files token v1\x00"
_MAX_TOKEN = 4096
_PIECE: Final = 256 << 10
_RANGE: Final = re.compile(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.ASCII | re.IGNORECASE)
_DIGITS: Final = 19


class FileGrant(msgspec.Struct, frozen=True, array_like=True):
    """What a token grants: one object, under a name and a type, until `expires_at` (Unix seconds)."""

    key: str
    filename: str
    content_type: str
    expires_at: int


_grant = msgspec.msgpack.Decoder(FileGrant)


def sign(secret: bytes, key: str, filename: str, content_type: str, expires_at: int) -> str:
    """A URL-safe token for one object. `expires_at` is in Unix seconds."""
    grant = msgspec.msgpack.encode(FileGrant(key, filename, content_type, expires_at))
    return base64.urlsafe_b64encode(_tag(secret, grant) + grant).rstrip(b"=").decode()


def verify(secret: bytes, token: str, now: float) -> FileGrant:
    """What the token grants. Raises NotFound unless `secret` signed it, Expired from `expires_at` on."""
    raw = _raw(token)
    tag, grant = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
    if not hmac.compare_digest(tag, _tag(secret, grant)):
        raise NotFound("There is no such file. Take the link from the download again.")
    granted = _grant.decode(grant)
    if now >= granted.expires_at:
        raise Expired("This link has expired. Take it from the download again.")
    return granted


def _tag(secret: bytes, grant: bytes) -> bytes:
    return hmac.digest(secret, _CONTEXT + grant, hashlib.sha256)[:_TAG_BYTES]


def _raw(token: str) -> bytes:
    if len(token) > _MAX_TOKEN:
        return b""
    try:
        raw = base64.b64decode(token.encode() + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return b""
    # One token for one grant: the last character's unused bits must not make a second spelling.
    canonical = base64.urlsafe_b64encode(raw).rstrip(b"=") == token.encode()
    return raw if canonical else b""


class Unsatisfiable(ValueError):
    """The range begins behind the file's end."""


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """The range as (start, end exclusive) within `size` bytes.

    None where the header is to be ignored: another unit, several ranges, or no range at all. Raises
    Unsatisfiable.
    """
    match = _RANGE.fullmatch(header)
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return _last(_number(match[2]), size)
    start = _number(match[1])
    if match[2] and _number(match[2]) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return start, min(_number(match[2]) + 1, size) if match[2] else size


def _number(digits: str) -> int:
    """The number, or one beyond every file: Python refuses to read thousands of digits."""
    return int(digits.lstrip("0")[:_DIGITS] or "0")


def _last(count: int, size: int) -> tuple[int, int]:
    if count == 0 or size == 0:
        raise Unsatisfiable
    return max(0, size - count), size


async def file(request: Request) -> Response:
    """200, 206, 304 or 416; 404 for a token that is not ours, 410 for one that has expired."""
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
    except NotFound:  # another replica may have seen the store's new secret first
        return verify(await state.signing.renewed(), token, time.time())


def _content(
    request: Request, storage: ObjectStorage, grant: FileGrant, meta: ObjectMeta, headers: dict[str, str]
) -> Response:
    header = request.headers.get("range")
    if header is None or request.headers.get("if-range", headers["ETag"]) != headers["ETag"]:
        return FileResponse(storage, grant.key, 0, meta.size, 200, headers)
    try:
        found = parse_range(header, meta.size)
    except Unsatisfiable:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{meta.size}"})
    if found is None:
        return FileResponse(storage, grant.key, 0, meta.size, 200, headers)
    start, end = found
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{meta.size}"
    return FileResponse(storage, grant.key, start, end, 206, headers)


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
    """`attachment` with the name, by RFC 6266: in ASCII for old clients, and as it is."""
    plain = "".join(char if 32 <= ord(char) < 127 and char not in '"\\%' else "_" for char in filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


class FileResponse(Response):
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
        """Send it. A file that vanishes meanwhile cuts the response off, which shows by its length."""
        empty = scope["method"] == "HEAD" or self._start == self._end
        reader = None if empty else await self._storage.open(self._key, start=self._start, end=self._end)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if reader is not None:
            with bodies.watching(receive) as gone:
                async for piece in reader.chunks(_PIECE):
                    if gone():
                        return
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
