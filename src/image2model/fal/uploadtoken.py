"""The token that uploads authenticate with: fetched once, kept until shortly before it expires.

Who calls it: the upload. One refresh at a time, however many uploads wait for it.
"""

import asyncio
from datetime import UTC, datetime, timedelta

from image2model.fal.refusal import read
from image2model.fal.session import FalSession
from image2model.fal.wire import UploadToken

_MARGIN = timedelta(seconds=60)


class TokenCache:
    """`get` gives an Authorization header's value; `forget` drops one that the media host refused."""

    def __init__(self, session: FalSession) -> None:
        self._session = session
        self._lock = asyncio.Lock()
        self._token: UploadToken | None = None

    async def get(self) -> str:
        """The header's value. Raises FalError as the other uploads' calls do."""
        async with self._lock:
            if self._token is None or _expires_soon(self._token):
                self._token = await self._fetch()
            return _header(self._token)

    def forget(self, header: str) -> None:
        """This value was refused: the next `get` fetches another, unless one has already."""
        if self._token is not None and _header(self._token) == header:
            self._token = None

    async def _fetch(self) -> UploadToken:
        url = f"{self._session.hosts.rest}/storage/auth/token"
        reply = await self._session.call("POST", url, params={"storage_type": "fal-cdn-v3"}, json={}, tries=2)
        return read(reply, UploadToken)


def _header(token: UploadToken) -> str:
    return f"{token.token_type} {token.token}"


def _expires_soon(token: UploadToken) -> bool:
    end = token.expires_at if token.expires_at.tzinfo else token.expires_at.replace(tzinfo=UTC)
    return datetime.now(UTC) >= end - _MARGIN
