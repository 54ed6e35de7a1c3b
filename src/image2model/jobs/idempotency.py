"""Idempotency keys: reserved while a request is under way, then the answer's place for a day.

Who calls it: the acceptance of a batch. A key belongs to one owner. Only a creation turns a reservation
into an answer, in the script that makes the job; a refusal frees the key.
"""

import asyncio
import hashlib
import re
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.errors import IdempotencyInProgress, InvalidParameter
from image2model.store.connection import StoreOutage, command
from image2model.store.keys import key
from image2model.store.scripts import Script

RESERVED_MS: Final = 15_000
"""Life of a reservation that nobody renews: so long a client waits whose API process was killed."""
KEPT_MS: Final = 86_400_000
"""Life of an answer."""

_KEEP: Final = Script("jobs/keep_key")
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


_log: Final = structlog.stdlib.get_logger(__name__)
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_RENEW_SECONDS: Final = RESERVED_MS / 3000
_RETRY_SECONDS: Final = 2
_freeing: Final[set[asyncio.Task[None]]] = set()
"""asyncio itself holds tasks only weakly."""


def check_key(name: str) -> str:
    """The key itself. Raises InvalidParameter unless it is 1 to 255 visible ASCII characters."""
    if not _KEY.fullmatch(name):
        raise InvalidParameter("`Idempotency-Key` must be 1 to 255 visible ASCII characters, without spaces.")
    return name


def fingerprint(fields: Mapping[str, str], files: Iterable[tuple[int, str, str]]) -> str:
    """What must be the same for the same answer: the fields, and (index, file name, SHA-256) of each file."""
    said = msgspec.json.encode([sorted(fields.items()), sorted(files)])
    return hashlib.sha256(said).hexdigest()


@asynccontextmanager
async def held(redis: Redis, owner: str, name: str | None) -> AsyncIterator[Reservation | Answered | None]:
    """The key for the time of the block: a reservation, or the answer that it stands for already.

    None where the request has no key. A reservation that was not turned into an answer is freed at the
    end. Raises IdempotencyInProgress while another request holds it.
    """
    if name is None:
        yield None
        return
    reservation = await reserve(redis, owner, check_key(name))
    if reservation is None:
        problem = "A request with this Idempotency-Key is under way. Ask again in a moment."
        raise IdempotencyInProgress.after(problem, _RETRY_SECONDS)
    if isinstance(reservation, Answered):
        yield reservation
        return
    renewing = asyncio.create_task(_renew(redis, reservation))
    try:
        yield reservation
    finally:
        renewing.cancel()
        await _free(redis, reservation)


async def _renew(redis: Redis, reservation: Reservation) -> None:
    held = True
    while held:
        await asyncio.sleep(_RENEW_SECONDS)
        try:
            held = await renew(redis, reservation)
        except StoreOutage as error:
            _log.warning("idempotency_key_not_renewed", reason=str(error))


async def _free(redis: Redis, reservation: Reservation) -> None:
    """After a creation the key is no longer the reservation's, and this does nothing.

    Where the request is cancelled, its client is answered without waiting for the store.
    """
    freeing = asyncio.create_task(_freed(redis, reservation))
    _freeing.add(freeing)
    freeing.add_done_callback(_freeing.discard)
    task = asyncio.current_task()
    if task is None or not task.cancelling():
        await asyncio.shield(freeing)


async def _freed(redis: Redis, reservation: Reservation) -> None:
    try:
        await free(redis, reservation)
    except StoreOutage as error:
        _log.warning("idempotency_key_not_freed", reason=str(error))
