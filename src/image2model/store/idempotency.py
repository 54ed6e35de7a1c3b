"""Idempotency keys: reserved while a request is under way, then the answer's place for a day.

Who calls it: the acceptance of a batch. A key belongs to one owner. Only a creation turns a reservation
into an answer, in the script that makes the job; a refusal frees the key.
"""

import secrets
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.store.connection import command
from image2model.store.keys import key
from image2model.store.script import Script

RESERVED_MS: Final = 15_000
"""Life of a reservation that nobody renews: so long a client waits whose API process was killed."""
KEPT_MS: Final = 86_400_000
"""Life of an answer."""

_KEEP: Final = Script("keep_key")
_MARK: Final = "reserved:"


class Answered(msgspec.Struct, frozen=True, array_like=True):
    """What a key stands for: the fingerprint of the request that was accepted, and the job it made."""

    fingerprint: str
    job_id: str


_answered = msgspec.json.Decoder(Answered)


class Reservation(msgspec.Struct, frozen=True):
    """A key that is this request's alone."""

    key: str
    token: str


async def reserve(redis: Redis, owner: str, name: str) -> Reservation | Answered | None:
    """Take the key; or the answer that it stands for; or None while another request holds it."""
    full = key("idempotency", owner, name)
    token = _MARK + secrets.token_hex(16)
    if await command(redis, "SET", full, token, "NX", "PX", RESERVED_MS):
        return Reservation(full, token)
    reply: bytes | None = await command(redis, "GET", full)
    held = reply.decode() if reply else _MARK  # run out meanwhile: its holder ends just now
    if held == token:  # the first reply was lost, and the connection sent the command again
        return Reservation(full, token)
    if held.startswith(_MARK):
        return None
    return _answered.decode(held)


def encode(answered: Answered) -> str:
    """The value that a creation leaves under the key."""
    return msgspec.json.encode(answered).decode()


async def renew(redis: Redis, reservation: Reservation) -> bool:
    """Hold the key for another `RESERVED_MS`; False where it is no longer ours."""
    return bool(await _KEEP.packed(redis, reservation.key, reservation.token, RESERVED_MS))


async def free(redis: Redis, reservation: Reservation) -> None:
    """Give the key up, if it is still this reservation's."""
    await _KEEP.packed(redis, reservation.key, reservation.token, 0)
