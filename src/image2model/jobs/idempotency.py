"""Idempotency keys: reserved while a request is under way, then bound to its accepted response for a day.

A key belongs to one owner. A creation binds it once its jobs are made; a refusal releases it.
A request whose API process was killed keeps its key for at most `RESERVED_MS`. Then the key expires, or the
next request with it settles what became of one that was admitted already.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.errors import IdempotencyInProgress, InvalidParameter
from image2model.jobs import reservations
from image2model.store.connection import StoreOutage, command
from image2model.store.keys import key
from image2model.store.scripts import Script

RESERVED_MS: Final = 15_000
"""TTL of a reservation, which its request renews."""
KEPT_MS: Final = 86_400_000
"""TTL of an accepted response."""

REPLAYED: Final = {"Idempotent-Replayed": "true"}
"""The header of a first answer that is given again."""
_RENEW_SECONDS: Final = RESERVED_MS / 3000
_RETRY_SECONDS: Final = 2
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_RESERVED: Final = "reserved:"
"""The value of a reserved key begins with this."""
_KEEP: Final = Script("jobs/keep_key")
_log: Final = structlog.stdlib.get_logger(__name__)
_releases: Final[set[asyncio.Task[None]]] = set()
"""asyncio itself holds tasks only weakly."""


class AcceptedResponse(msgspec.Struct, frozen=True, array_like=True):
    """What a bound key stands for: the fingerprint of the request that was accepted, and its jobs.

    `further`: those of a comparison after its first one.
    """

    fingerprint: str
    job_id: str
    further: tuple[str, ...] = ()

    @property
    def job_ids(self) -> tuple[str, ...]:
        """All jobs, in the order of the answer."""
        return (self.job_id, *self.further)


_accepted: Final = msgspec.json.Decoder(AcceptedResponse)


class Reservation(msgspec.Struct, frozen=True):
    """A key that only this request may use. `key` is its owner, and the name that the client gave it."""

    key: tuple[str, str]
    token: str


def encode(accepted: AcceptedResponse) -> str:
    """The value that a creation leaves under the key."""
    return msgspec.json.encode(accepted).decode()


def pending(job_id: str) -> str:
    """The value while the jobs of an admitted request are made: reserved, and not the request's to free."""
    return _RESERVED + job_id


@asynccontextmanager
async def reserved(
    redis: Redis, owner: str, name: str | None
) -> AsyncIterator[Reservation | AcceptedResponse | None]:
    """Within the block, the key is this request's reservation, or it is bound to an accepted response.

    None where the request has no key. A reservation that no creation has bound is released at the end. Raises
    InvalidParameter for a malformed key, IdempotencyInProgress while another request holds it.
    """
    if name is None:
        yield None
        return
    _check(name)
    reservation = await _reserve(redis, (owner, name))
    if isinstance(reservation, AcceptedResponse):
        yield reservation
        return
    renewal = asyncio.create_task(_renew(redis, reservation))
    try:
        yield reservation
    finally:
        renewal.cancel()
        await _release(redis, reservation)


def _check(name: str) -> None:
    if not _KEY.fullmatch(name):
        raise InvalidParameter("`Idempotency-Key` must be 1 to 255 visible ASCII characters, without spaces.")


async def _reserve(redis: Redis, of: tuple[str, str]) -> Reservation | AcceptedResponse:
    """A reservation, or what the key is bound to. Raises IdempotencyInProgress."""
    found = await _reserved_or_bound(redis, of)
    if isinstance(found, str) and await reservations.settle_repeated(redis, found):
        found = await _reserved_or_bound(redis, of)
    if isinstance(found, str):
        problem = "A request with this Idempotency-Key is under way. Ask again in a moment."
        raise IdempotencyInProgress.after(problem, _RETRY_SECONDS)
    return found


async def _reserved_or_bound(redis: Redis, of: tuple[str, str]) -> Reservation | AcceptedResponse | str:
    """A reservation, or what the key is bound to, or the id by which another request holds it."""
    full_key = key("idempotency", *of)
    token = _RESERVED + secrets.token_hex(16)
    if await command(redis, "SET", full_key, token, "NX", "PX", RESERVED_MS):
        return Reservation(of, token)
    reply: bytes | None = await command(redis, "GET", full_key)
    value = reply.decode() if reply else _RESERVED  # expired meanwhile: its holder is just ending
    if value == token:  # the first reply was lost, and the connection sent the command again
        return Reservation(of, token)
    return value.removeprefix(_RESERVED) if value.startswith(_RESERVED) else _accepted.decode(value)


async def _renew(redis: Redis, reservation: Reservation) -> None:
    """Keep the key reserved, until it is no longer this reservation's."""
    ours = True
    while ours:
        await asyncio.sleep(_RENEW_SECONDS)
        try:
            ours = bool(await _KEEP.packed(redis, reservation.key, reservation.token, RESERVED_MS))
        except StoreOutage as error:
            _log.warning("idempotency_key_not_renewed", reason=str(error))


async def _release(redis: Redis, reservation: Reservation) -> None:
    """Release the key. After a creation it is no longer the reservation's, and this does nothing.

    A cancelled request does not wait for the store.
    """
    release = asyncio.create_task(_released(redis, reservation))
    _releases.add(release)
    release.add_done_callback(_releases.discard)
    task = asyncio.current_task()
    if task is None or not task.cancelling():
        await asyncio.shield(release)


async def _released(redis: Redis, reservation: Reservation) -> None:
    try:
        await _KEEP.packed(redis, reservation.key, reservation.token, 0)
    except StoreOutage as error:
        _log.warning("idempotency_key_not_released", reason=str(error))
