"""API keys as people write and read them: `60/min`, `25.00/month`, `90d`, and the document of a key.

Who calls it: the admin's routes, and the command line where it talks to the store itself.
"""

import re
from typing import Final, Literal

import msgspec
from redis.asyncio import Redis

from image2model.errors import InvalidParameter, NotFound
from image2model.money import to_usd
from image2model.service.documents import Moment, moment
from image2model.settings import parse
from image2model.store import api_keys
from image2model.store.api_keys import ApiKey, Budget, NewKey, Role, period_of

_OWNER: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_MOST_NAME: Final = 200
_MOST_QUEUED: Final = 1_000_000_000
_LONGEST_S: Final = 100 * 365 * 86_400
"""A century: dates end with the year 9999, and a record beyond could be made but never listed."""


class KeyWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be made. `expires` is a duration such as `90d`."""

    name: str
    role: Literal["user", "admin"] = "user"
    rate: str | None = None
    budget: str | None = None
    max_queued: int | None = None
    expires: str | None = None
    owner: str | None = None


class KeyDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key as it is shown. `key` is its text, and there only in the answer to its creation."""

    key_id: str
    prefix: str
    name: str
    role: Role
    owner: str
    status: Literal["active", "expired", "revoked"]
    rate: str | None
    budget: str | None
    max_queued: int | None
    created_at: Moment | None
    expires_at: Moment | None
    last_used_at: Moment | None
    revoked_at: Moment | None
    key: str = ""


class KeyList(msgspec.Struct, frozen=True):
    """All keys, the oldest first."""

    keys: tuple[KeyDocument, ...]


async def create(redis: Redis, wish: KeyWish) -> KeyDocument:
    """Make a key. Raises InvalidParameter."""
    secret, made = await api_keys.create(redis, _new(wish))
    return msgspec.structs.replace(document(made, made.created_at), key=secret)


async def listing(redis: Redis, now_ms: int) -> KeyList:
    """All keys."""
    return KeyList(tuple(document(one, now_ms) for one in await api_keys.listing(redis)))


async def revoke(redis: Redis, key_id: str) -> None:
    """End a key at once, by its id or its prefix. Raises NotFound."""
    if not await api_keys.revoke(redis, key_id):
        raise NotFound("There is no such key.")


def document(key: ApiKey, now_ms: int) -> KeyDocument:
    """A key as of this moment."""
    expired = key.expires_at is not None and key.expires_at <= now_ms
    return KeyDocument(
        key_id=key.key_id,
        prefix=key.prefix,
        name=key.name,
        role=key.role,
        owner=key.owner,
        status="revoked" if key.revoked_at else "expired" if expired else "active",
        rate=_rate_text(key.rate) if key.rate else None,
        budget=f"{to_usd(key.budget.micro):.2f}/{key.budget.period}" if key.budget else None,
        max_queued=key.max_queued,
        created_at=moment(key.created_at),
        expires_at=moment(key.expires_at),
        last_used_at=moment(key.last_used_at),
        revoked_at=moment(key.revoked_at),
    )


def _new(wish: KeyWish) -> NewKey:
    try:
        return NewKey(
            name=_name(wish.name),
            role=wish.role,
            owner=_owner(wish.owner),
            rate=parse.rate(wish.rate) if wish.rate else None,
            max_queued=_max_queued(wish.max_queued),
            budget=_budget(wish.budget),
            expires_in_s=_life(wish.expires) if wish.expires else None,
        )
    except ValueError as error:
        raise InvalidParameter(f"The key cannot be made: {error}") from error


def _name(name: str) -> str:
    shown = name.strip()
    if not shown or len(shown) > _MOST_NAME or not shown.isprintable():
        raise ValueError(f"`name` must be 1 to {_MOST_NAME} printable characters")
    return shown


def _owner(owner: str | None) -> str | None:
    if owner is not None and not _OWNER.fullmatch(owner):
        raise ValueError("`owner` must be the owner of another key")
    return owner


def _max_queued(number: int | None) -> int | None:
    if number is not None and not 1 <= number <= _MOST_QUEUED:
        raise ValueError(f"`max_queued` must be 1 to {_MOST_QUEUED}")
    return number


def _life(text: str) -> float:
    seconds = parse.duration(text)
    if seconds > _LONGEST_S:
        raise ValueError("`expires` must be within a hundred years; leave it out for a key that does not end")
    return seconds


def _budget(text: str | None) -> Budget | None:
    if text is None:
        return None
    micro, period = parse.budget(text)
    return Budget(micro, period_of(period))


def _rate_text(rate: tuple[int, int]) -> str:
    unit = {1: "s", 60: "min", 3600: "h", 86400: "day"}[rate[1]]
    return f"{rate[0]}/{unit}"
