"""The store's copy of the catalogue: MessagePack beside its version, its times, and what went wrong last.

The version is a hash of the content, so a copy that was read again and is the same wakes nobody. Only the
holder of the refresh lock writes, and the lock ends by itself.
"""

import hashlib
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.fal.endpoints import EndpointSchema, UnitPrice
from image2model.store.connection import command
from image2model.store.keys import key
from image2model.store.scripts import Script

_BEGIN: Final = Script("catalogue/begin_refresh")
_END: Final = Script("catalogue/end_refresh")
_REQUEST: Final = Script("catalogue/request_refresh")
LOCK_MS: Final = 180_000
"""Longer than a refresh may take, so that two workers never read at once."""


class CatalogueCopy(msgspec.Struct, frozen=True, kw_only=True):
    """All endpoints, also retired ones, and FAL's unit prices by endpoint id."""

    schemas: tuple[EndpointSchema, ...]
    prices: dict[str, UnitPrice]


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the store's copy without reading it; times are ms since the epoch, 0: never.

    `updated_at`: when FAL last gave it. `checked_at`: when FAL was last asked. `error`: why the last reading
    failed; empty if it did not.
    """

    version: str = ""
    updated_at: int = 0
    checked_at: int = 0
    error: str = ""


_encoder: Final = msgspec.msgpack.Encoder(order="deterministic")
_decoder: Final = msgspec.msgpack.Decoder(CatalogueCopy)
_HEAD: Final = ("version", "updated_at", "checked_at", "error")


def encode(copy: CatalogueCopy) -> tuple[str, bytes]:
    """The copy's version and its bytes."""
    body = _encoder.encode(copy)
    return hashlib.sha256(body).hexdigest()[:16], body


def decode(body: bytes) -> CatalogueCopy:
    """The copy. Raises msgspec.DecodeError where another release wrote it."""
    return _decoder.decode(body)


async def head(redis: Redis) -> Head:
    """Raises StoreOutage."""
    return _head(await command(redis, "HMGET", key("catalogue"), *_HEAD))


async def read(redis: Redis) -> tuple[Head, bytes]:
    """The head, and the copy's bytes: empty where there is none. Raises StoreOutage."""
    *first, body = await command(redis, "HMGET", key("catalogue"), *_HEAD, "body")
    return _head(first), body or b""


def _head(row: list[bytes | None]) -> Head:
    version, updated_at, checked_at, error = (part.decode() if part else "" for part in row)
    return Head(
        version=version, updated_at=int(updated_at or 0), checked_at=int(checked_at or 0), error=error
    )


async def begin(redis: Redis, token: str, *, every_ms: int, retry_ms: int) -> bool:
    """Take the lock if a refresh is due or requested, and nobody is at it. Raises StoreOutage."""
    return bool(await _BEGIN.packed(redis, token, every_ms, retry_ms, LOCK_MS))


async def succeed(redis: Redis, token: str, version: str, body: bytes) -> bool:
    """Store what FAL gave, and tell all processes if it is new. False if the lock was lost meanwhile."""
    return bool(await _END(redis, msgspec.msgpack.encode([token, version, ""]), body))


async def fail(redis: Redis, token: str, error: str) -> bool:
    """The copy stays as it is. False if the lock was lost meanwhile. Raises StoreOutage."""
    return bool(await _END(redis, msgspec.msgpack.encode([token, "", error]), b""))


async def request(redis: Redis) -> None:
    """Let a worker refresh now. Raises StoreOutage."""
    await _REQUEST.packed(redis)
