"""Uploads of pictures to FAL's media host, with its older storage as the second way.

Who calls it: the gateway. The name is made unique, so that the URL belongs to one attempt alone.
"""

import re
import secrets

import aiohttp

from image2model.errors import FalAccountFault, FalError, FalTransient
from image2model.fal.failures import FalUnreachable
from image2model.fal.refusal import read
from image2model.fal.session import FalSession, Reply
from image2model.fal.uploadtoken import TokenCache
from image2model.fal.wire import Uploaded, UploadSlot

_TIMEOUT = aiohttp.ClientTimeout(total=120, sock_connect=10, sock_read=60)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class Uploader:
    """Uploads, with the token that they share."""

    def __init__(self, session: FalSession) -> None:
        self._session = session
        self._tokens = TokenCache(session)

    async def upload(self, data: bytes, *, filename: str, content_type: str) -> str:
        """The public URL of the bytes, unique to this call. See `FalGateway.upload`."""
        name = f"{secrets.token_hex(8)}-{_UNSAFE.sub('_', filename)[-80:] or 'picture'}"
        try:
            return await self._to_media_host(data, name, content_type)
        except FalError as first:
            return await self._second_way(data, name, content_type, first)

    async def _second_way(self, data: bytes, name: str, content_type: str, first: FalError) -> str:
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
        return read(reply, Uploaded).access_url

    async def _post(self, data: bytes, name: str, content_type: str, token: str) -> Reply:
        headers = {"Authorization": token, "Content-Type": content_type, "X-Fal-File-Name": name}
        url = f"{self._session.hosts.cdn}/files/upload"
        return await self._session.call(
            "POST", url, body=data, headers=headers, keyed=False, timeout=_TIMEOUT, tries=2
        )

    async def _to_storage(self, data: bytes, name: str, content_type: str) -> str:
        slot = await self._slot(name, content_type)
        reply = await self._session.call(
            "PUT",
            slot.upload_url,
            body=data,
            headers={"Content-Type": content_type},
            keyed=False,
            timeout=_TIMEOUT,
        )
        if reply.status >= 300:
            # The storage's own 403 is about the URL it was given, not about the account.
            raise FalUnreachable(f"FAL's storage answered {reply.status}", status=reply.status)
        return slot.file_url

    async def _slot(self, name: str, content_type: str) -> UploadSlot:
        reply = await self._session.call(
            "POST",
            f"{self._session.hosts.rest}/storage/upload/initiate",
            params={"storage_type": "gcs"},
            json={"file_name": name, "content_type": content_type},
        )
        return read(reply, UploadSlot)
