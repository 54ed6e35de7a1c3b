"""Uploads pictures and models to FAL's media host, and to its older storage where that fails.

Each name is made unique, so that a URL belongs to one attempt alone.
"""

import asyncio
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from image2model.errors import FalAccountFault, FalError, FalTransient
from image2model.fal.errors import FalUnreachable
from image2model.fal.exchange import Deadlines
from image2model.fal.session import FalSession, Reply, decode_reply
from image2model.fal.wire import Uploaded, UploadSlot, UploadToken

_SLOWEST = 1 << 20
"""Bytes a second at which a large file must at least go, beyond the first two minutes."""
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_MARGIN = timedelta(seconds=60)


class Uploader:
    """Uploads, with the token that they share. `preference`: the headers that say how long FAL keeps them."""

    def __init__(self, session: FalSession, preference: Mapping[str, str]) -> None:
        self._session = session
        self._preference = preference
        self._tokens = TokenCache(session)

    async def upload(self, data: bytes, *, filename: str, content_type: str) -> str:
        """The public URL of the bytes, unique to this call. See `FalGateway.upload`."""
        name = f"{secrets.token_hex(8)}-{_UNSAFE.sub('_', filename)[-80:] or 'picture'}"
        try:
            return await self._to_media_host(data, name, content_type)
        except FalError as first:
            return await self._fall_back(data, name, content_type, first)

    async def _fall_back(self, data: bytes, name: str, content_type: str, first: FalError) -> str:
        try:
            return await self._to_storage(data, name, content_type)
        except FalError as second:
            if isinstance(first, FalAccountFault):
                raise first from second
            if isinstance(second, FalAccountFault):
                raise
            raise FalTransient(
                f"the upload failed both ways: {first.message}; {second.message}", status=second.status
            ) from second

    async def _to_media_host(self, data: bytes, name: str, content_type: str) -> str:
        token = await self._tokens.get()
        reply = await self._post(data, name, content_type, token)
        if reply.status in (401, 403):
            self._tokens.forget(token)
            reply = await self._post(data, name, content_type, await self._tokens.get())
        return decode_reply(reply, Uploaded).access_url

    async def _post(self, data: bytes, name: str, content_type: str, token: str) -> Reply:
        headers = {
            "Authorization": token,
            "Content-Type": content_type,
            "X-Fal-File-Name": name,
            **self._preference,
        }
        url = f"{self._session.hosts.cdn}/files/upload"
        return await self._session.call(
            "POST", url, body=data, headers=headers, keyed=False, deadlines=_deadlines(data), tries=2
        )

    async def _to_storage(self, data: bytes, name: str, content_type: str) -> str:
        slot = await self._slot(name, content_type)
        reply = await self._session.call(
            "PUT",
            slot.upload_url,
            body=data,
            headers={"Content-Type": content_type},
            keyed=False,
            deadlines=_deadlines(data),
        )
        if reply.status >= 300:
            # A 403 of the storage is about the URL, not about the account.
            raise FalUnreachable(f"FAL's storage answered {reply.status}", status=reply.status)
        return slot.file_url

    async def _slot(self, name: str, content_type: str) -> UploadSlot:
        reply = await self._session.call(
            "POST",
            f"{self._session.hosts.rest}/storage/upload/initiate",
            params={"storage_type": "gcs"},
            json={"file_name": name, "content_type": content_type},
            headers=self._preference,
        )
        return decode_reply(reply, UploadSlot)


class TokenCache:
    """`get` gives an Authorization header's value; `forget` drops one that the media host refused."""

    def __init__(self, session: FalSession) -> None:
        self._session = session
        self._lock = asyncio.Lock()
        self._token: UploadToken | None = None

    async def get(self) -> str:
        """The header's value. Raises FalError as the upload's other calls do."""
        async with self._lock:
            if self._token is None or _expires_soon(self._token):
                self._token = await self._fetch()
            return _header(self._token)

    def forget(self, header: str) -> None:
        """Drop a refused value: the next `get` fetches another, unless that has happened already."""
        if self._token is not None and _header(self._token) == header:
            self._token = None

    async def _fetch(self) -> UploadToken:
        url = f"{self._session.hosts.rest}/storage/auth/token"
        reply = await self._session.call("POST", url, params={"storage_type": "fal-cdn-v3"}, json={}, tries=2)
        return decode_reply(reply, UploadToken)


def _deadlines(data: bytes) -> Deadlines:
    return Deadlines(total=120 + len(data) / _SLOWEST, silence=60)


def _header(token: UploadToken) -> str:
    return f"{token.token_type} {token.token}"


def _expires_soon(token: UploadToken) -> bool:
    end = token.expires_at if token.expires_at.tzinfo else token.expires_at.replace(tzinfo=UTC)
    return datetime.now(UTC) >= end - _MARGIN
