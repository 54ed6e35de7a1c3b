"""One request to one idempotency key: held while an upload runs, answered again afterwards.

Who calls it: the acceptance of a batch.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.errors import IdempotencyInProgress, InvalidParameter
from image2model.store import idempotency
from image2model.store.connection import StoreOutage
from image2model.store.idempotency import Answered, Reservation

_log: Final = structlog.stdlib.get_logger(__name__)
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_RENEW_SECONDS: Final = idempotency.RESERVED_MS / 3000
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
    place = await idempotency.reserve(redis, owner, check_key(name))
    if place is None:
        problem = "A request with this Idempotency-Key is under way. Ask again in a moment."
        raise IdempotencyInProgress.after(problem, _RETRY_SECONDS)
    if isinstance(place, Answered):
        yield place
        return
    renewing = asyncio.create_task(_renew(redis, place))
    try:
        yield place
    finally:
        renewing.cancel()
        await _free(redis, place)


async def _renew(redis: Redis, place: Reservation) -> None:
    held = True
    while held:
        await asyncio.sleep(_RENEW_SECONDS)
        try:
            held = await idempotency.renew(redis, place)
        except StoreOutage as error:
            _log.warning("idempotency_key_not_renewed", reason=str(error))


async def _free(redis: Redis, place: Reservation) -> None:
    """After a creation the key is no longer the reservation's, and this does nothing.

    Where the request is cancelled, its client is answered without waiting for the store.
    """
    freeing = asyncio.create_task(_freed(redis, place))
    _freeing.add(freeing)
    freeing.add_done_callback(_freeing.discard)
    task = asyncio.current_task()
    if task is None or not task.cancelling():
        await asyncio.shield(freeing)


async def _freed(redis: Redis, place: Reservation) -> None:
    try:
        await idempotency.free(redis, place)
    except StoreOutage as error:
        _log.warning("idempotency_key_not_freed", reason=str(error))
