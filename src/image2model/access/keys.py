"""API keys: made, listed, revoked. A key is random, shown once, and kept as its SHA-256 alone.

Who calls it: the admin's routes and the command line. What a request presents is looked up by `lookups`,
in the store each time, so that a revocation counts at once on every process.
"""

import hashlib
import re
import secrets
from typing import Final, Literal, get_args

import msgspec
from redis.asyncio import Redis

from image2model.errors import InvalidParameter, NotFound
from image2model.http.documents import Moment, moment
from image2model.money import to_usd
from image2model.settings import parse
from image2model.store.connection import command
from image2model.store.keys import key
from image2model.store.scripts import Script

Role = Literal["user", "admin"]
Period = Literal["day", "month", "total"]
PERIODS: Final[tuple[Period, ...]] = get_args(Period)
Rate = tuple[int, int]
"""So many requests in so many seconds."""

_MARK: Final = "i2m_"
_SHOWN: Final = len(_MARK) + 6
_ID: Final = 16

_MAKE: Final = Script("access/make_key")
_REVOKE: Final = Script("access/revoke_key")


class Budget(msgspec.Struct, frozen=True):
    """Micro-dollars that may be spent in each period (UTC), or in all."""

    micro: int
    period: Period


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a key may do. None: as the service's settings say; `owner` None: an owner of its own.

    Keys of one owner see the same jobs and share what they have used, as the successor of a key needs it.
    """

    name: str
    role: Role = "user"
    owner: str | None = None
    rate: Rate | None = None
    max_queued: int | None = None
    budget: Budget | None = None
    expires_in_s: float | None = None


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it may be shown. Times are ms since the epoch; `last_used_at` is true to a minute."""

    key_id: str
    prefix: str
    name: str
    role: Role
    owner: str
    rate: Rate | None
    max_queued: int | None
    budget: Budget | None
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None


def digest(secret: str) -> str:
    """What stands for a key, or for a session's cookie, in the store: its SHA-256 in hex.

    A plain hash is right for them: they are 256 random bits, which no dictionary holds.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


async def add_record(redis: Redis, new: NewKey) -> tuple[str, ApiKey]:
    """Make a key. Returns its text, which nobody can be told again, and its record."""
    secret = _MARK + secrets.token_urlsafe(32)
    hashed = digest(secret)
    fields = _fields(secret, hashed, new)
    life_ms = 0 if new.expires_in_s is None else int(new.expires_in_s * 1000)
    made_at = int(await _MAKE.packed(redis, hashed, _flat(fields), life_ms))
    fields |= {"created_at": str(made_at), "expires_at": str(made_at + life_ms) if life_ms else ""}
    return secret, _record(fields)


async def read_records(redis: Redis) -> list[ApiKey]:
    """All keys, the oldest first, revoked ones too."""
    pipe = redis.pipeline(transaction=False)
    for hashed in await _digests(redis):
        pipe.hgetall(key("api_key", hashed))
    rows: list[dict[bytes, bytes]] = await pipe.execute()
    return [_record({name.decode(): value.decode() for name, value in row.items()}) for row in rows if row]


async def revoke_record(redis: Redis, key_id: str) -> bool:
    """End a key at once, by its id or its prefix; False where there is none. Twice is as good as once."""
    hashed = await _find(redis, key_id)
    return bool(await _REVOKE.packed(redis, hashed)) if hashed else False


async def _find(redis: Redis, key_id: str) -> str | None:
    digests = await _digests(redis)
    pipe = redis.pipeline(transaction=False)
    for hashed in digests:
        pipe.hmget(key("api_key", hashed), ["key_id", "prefix"])
    rows = await pipe.execute()
    return next((one for one, row in zip(digests, rows, strict=True) if key_id.encode() in row), None)


async def any_good(redis: Redis) -> bool:
    """Whether somebody could come in: a key is neither revoked nor expired."""
    seconds, micros = await command(redis, "TIME")
    now_ms = int(seconds) * 1000 + int(micros) // 1000
    return any(
        one.revoked_at is None and (one.expires_at is None or one.expires_at > now_ms)
        for one in await read_records(redis)
    )


async def _digests(redis: Redis) -> list[str]:
    return [one.decode() for one in await command(redis, "ZRANGE", key("api_keys"), 0, -1)]


def _fields(secret: str, hashed: str, new: NewKey) -> dict[str, str]:
    fields = {
        "key_id": hashed[:_ID],
        "prefix": secret[:_SHOWN],
        "name": new.name,
        "role": new.role,
        "owner": new.owner or hashed[:_ID],
    }
    if new.rate is not None:
        fields["rate"] = "{}/{}".format(*new.rate)
    if new.max_queued is not None:
        fields["max_queued"] = str(new.max_queued)
    if new.budget is not None:
        fields |= {"budget_micro": str(new.budget.micro), "budget_period": new.budget.period}
    return fields


def _flat(fields: dict[str, str]) -> list[str]:
    return [part for pair in fields.items() for part in pair]


def read_rate(text: str) -> Rate | None:
    """A record's rate; empty: none of its own."""
    count, _, seconds = text.partition("/")
    return (int(count), int(seconds)) if count else None


def period_of(text: str) -> Period:
    """A budget's period by its name. Raises ValueError."""
    for period in PERIODS:
        if period == text:
            return period
    raise ValueError(f"no period is named {text!r}")


def read_budget(micro: str, period: str) -> Budget | None:
    """A record's budget; empty: none."""
    return Budget(int(micro), period_of(period)) if micro else None


def _record(row: dict[str, str]) -> ApiKey:
    def whole(name: str) -> int | None:
        return int(row[name]) if row.get(name) else None

    return ApiKey(
        key_id=row["key_id"],
        prefix=row["prefix"],
        name=row["name"],
        role="admin" if row["role"] == "admin" else "user",
        owner=row["owner"],
        rate=read_rate(row.get("rate", "")),
        max_queued=whole("max_queued"),
        budget=read_budget(row.get("budget_micro", ""), row.get("budget_period", "")),
        created_at=int(row["created_at"]),
        expires_at=whole("expires_at"),
        last_used_at=whole("last_used_at"),
        revoked_at=whole("revoked_at"),
    )


_OWNER: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_MOST_NAME: Final = 200
_MOST_QUEUED: Final = 1_000_000_000
_LONGEST_S: Final = 100 * 365 * 86_400
"""A century: dates end with the year 9999, and a record beyond could be made but never listed."""


class KeyRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
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


async def create(redis: Redis, wish: KeyRequest) -> KeyDocument:
    """Make a key. Raises InvalidParameter."""
    secret, made = await add_record(redis, _new(wish))
    return msgspec.structs.replace(document(made, made.created_at), key=secret)


async def listing(redis: Redis, now_ms: int) -> KeyList:
    """All keys."""
    return KeyList(tuple(document(one, now_ms) for one in await read_records(redis)))


async def revoke(redis: Redis, key_id: str) -> None:
    """End a key at once, by its id or its prefix. Raises NotFound."""
    if not await revoke_record(redis, key_id):
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


def _new(wish: KeyRequest) -> NewKey:
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
