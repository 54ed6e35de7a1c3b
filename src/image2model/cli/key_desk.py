"""Where keys are made, listed and revoked: over HTTP with an admin's key, or in the store itself.

Who calls it: `keys`. The store is the way to the first key, which nobody could ask for over HTTP.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol
from urllib.parse import quote

import msgspec
from redis.asyncio import Redis

from image2model.cli.connection import address
from image2model.cli.local_store import store_url
from image2model.client.transport import Call, Transport
from image2model.errors import ConfigurationError
from image2model.service import keys
from image2model.service.keys import KeyDocument, KeyList, KeyWish
from image2model.settings import load
from image2model.store.connection import connect

_PATH: Final = "/api/v1/admin/keys"
_PATIENCE: Final = 10.0


class KeyDesk(Protocol):
    """Either way."""

    async def create(self, wish: KeyWish) -> KeyDocument:
        """A new key, with its text."""

    async def listing(self) -> KeyList:
        """All keys."""

    async def revoke(self, key_id: str) -> None:
        """End one."""


@asynccontextmanager
async def desk(url: str | None, key: str | None) -> AsyncIterator[KeyDesk]:
    """Over HTTP where `url` is given, else in the store. Raises ConfigurationError."""
    if url is not None:
        settings = address(url, key)
        async with Transport(settings.url, settings.api_key, patience=_PATIENCE) as transport:
            yield _HttpDesk(transport)
        return
    found = store_url(load())
    if found is None:
        raise ConfigurationError(
            ["I2M_REDIS_URL: not set, and no `up` runs on I2M_DATA_DIR; set it, or use --url with a key"]
        )
    async with connect(found) as redis:
        yield _StoreDesk(redis)


class _StoreDesk:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def create(self, wish: KeyWish) -> KeyDocument:
        return await keys.create(self._redis, wish)

    async def listing(self) -> KeyList:
        return await keys.listing(self._redis, int(time.time() * 1000))

    async def revoke(self, key_id: str) -> None:
        await keys.revoke(self._redis, key_id)


class _HttpDesk:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(self, wish: KeyWish) -> KeyDocument:
        reply = await self._transport.send(Call(method="POST", path=_PATH, body=msgspec.json.encode(wish)))
        return msgspec.json.decode(reply.body, type=KeyDocument)

    async def listing(self) -> KeyList:
        reply = await self._transport.send(Call(method="GET", path=_PATH, safe=True))
        return msgspec.json.decode(reply.body, type=KeyList)

    async def revoke(self, key_id: str) -> None:
        await self._transport.send(Call(method="DELETE", path=f"{_PATH}/{quote(key_id, safe='')}", safe=True))
