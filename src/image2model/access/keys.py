"""API keys: create, list, revoke. A key is random, shown once, and stored as its SHA-256 only.

The admin's routes and the command line use `create`, `listing` and `revoke`; the records below them are what
the store holds. A key that a request presents is looked up in the store each time (`access.lookup`), so a
revocation takes effect at once in every process.
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
"""Requests, and the seconds in which they may be made."""
_PREFIX: Final = "i2m_"
_PREFIX_SHOWN: Final = len(_PREFIX) + 6
_ID_LENGTH: Final = 16
_MAKE: Final = Script("access/make_key")
_REVOKE: Final = Script("access/revoke_key")
_OWNER: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_MAX_NAME: Final = 200
_MAX_QUEUED: Final = 1_000_000_000
_MAX_PATTERNS: Final = 50
_MAX_TTL_S: Final = 100 * 365 * 86_400
"""A century: dates end with the year 9999, and a key beyond it could be created but not listed."""


class KeyRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to create. `expires` is a duration such as `90d`."""

    name: str
    role: Literal["user", "admin"] = "user"
    rate: str | None = None
    budget: str | None = None
    max_queued: int | None = None
    expires: str | None = None
    owner: str | None = None
    models: tuple[str, ...] = ()
    """Patterns of the models that it may use, such as `fal-ai/*` or `!fal-ai/sam-3/*`; none: all on offer."""


class KeyDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key as the API shows it. `key` is its text, present only in the answer to its creation."""

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
    models: tuple[str, ...] = ()
    key: str = ""


class KeyList(msgspec.Struct, frozen=True):
    """All keys, oldest first."""

    keys: tuple[KeyDocument, ...]


class Budget(msgspec.Struct, frozen=True):
    """Micro-dollars that may be spent in each period (UTC), or in total."""

    micro: int
    period: Period


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a new key may do. None: the service's setting applies; `owner` None: a new owner.

    Keys of one owner see the same jobs and share limits and budget, so that a key can be replaced by another.
    """

    name: str
    role: Role = "user"
    owner: str | None = None
    rate: Rate | None = None
    max_queued: int | None = None
    budget: Budget | None = None
    expires_in_s: float | None = None
    models: tuple[str, ...] = ()


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A stored key without its text. Times are ms since the epoch; `last_used_at` is exact to a minute."""

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
    models: tuple[str, ...] = ()


async def create(redis: Redis, request: KeyRequest) -> KeyDocument:
    """Create a key. Raises InvalidParameter, StoreOutage."""
    secret, made = await add_record(redis, _new_key(request))
    return msgspec.structs.replace(document(made, made.created_at), key=secret)


async def listing(redis: Redis, now_ms: int) -> KeyList:
    """All keys as of `now_ms` (ms since the epoch). Raises StoreOutage."""
    return KeyList(tuple(document(one, now_ms) for one in await read_records(redis)))


async def revoke(redis: Redis, key_id: str) -> None:
    """Revoke a key at once, by its id or prefix. Raises NotFound, StoreOutage."""
    if not await revoke_record(redis, key_id):
        raise NotFound("There is no such key.")


def document(key: ApiKey, now_ms: int) -> KeyDocument:
    """A key as the API shows it at `now_ms`."""
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
        models=key.models,
    )


def digest(secret: str) -> str:
    """The SHA-256, in hex, by which the store knows a key or a session's cookie.

    A plain hash is enough, because both are 256 random bits and cannot be found by a dictionary attack.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


async def add_record(redis: Redis, new: NewKey) -> tuple[str, ApiKey]:
    """Create a key. Returns its text, which is stored nowhere, and its record. Raises StoreOutage."""
    secret = _PREFIX + secrets.token_urlsafe(32)
    hashed = digest(secret)
    fields = _fields(secret, hashed, new)
    ttl_ms = 0 if new.expires_in_s is None else int(new.expires_in_s * 1000)
    made_at = int(await _MAKE.packed(redis, hashed, _flat(fields), ttl_ms))
    fields |= {"created_at": str(made_at), "expires_at": str(made_at + ttl_ms) if ttl_ms else ""}
    return secret, _record(fields)


async def read_records(redis: Redis) -> list[ApiKey]:
    """All keys, oldest first, including revoked ones. Raises StoreOutage."""
    pipe = redis.pipeline(transaction=False)
    for hashed in await _digests(redis):
        pipe.hgetall(key("api_key", hashed))
    rows: list[dict[bytes, bytes]] = await pipe.execute()
    return [_record({name.decode(): value.decode() for name, value in row.items()}) for row in rows if row]


async def revoke_record(redis: Redis, key_id: str) -> bool:
    """Revoke a key by its id or prefix; False where there is none. Revoking twice is harmless."""
    hashed = await _find(redis, key_id)
    return bool(await _REVOKE.packed(redis, hashed)) if hashed else False


async def any_valid(redis: Redis) -> bool:
    """Whether any key is neither revoked nor expired. Raises StoreOutage."""
    seconds, micros = await command(redis, "TIME")
    now_ms = int(seconds) * 1000 + int(micros) // 1000
    return any(
        one.revoked_at is None and (one.expires_at is None or one.expires_at > now_ms)
        for one in await read_records(redis)
    )


async def _find(redis: Redis, key_id: str) -> str | None:
    digests = await _digests(redis)
    pipe = redis.pipeline(transaction=False)
    for hashed in digests:
        pipe.hmget(key("api_key", hashed), ["key_id", "prefix"])
    rows = await pipe.execute()
    return next((one for one, row in zip(digests, rows, strict=True) if key_id.encode() in row), None)


async def _digests(redis: Redis) -> list[str]:
    return [one.decode() for one in await command(redis, "ZRANGE", key("api_keys"), 0, -1)]


def _fields(secret: str, hashed: str, new: NewKey) -> dict[str, str]:
    fields = {
        "key_id": hashed[:_ID_LENGTH],
        "prefix": secret[:_PREFIX_SHOWN],
        "name": new.name,
        "role": new.role,
        "owner": new.owner or hashed[:_ID_LENGTH],
    }
    if new.rate is not None:
        fields["rate"] = "{}/{}".format(*new.rate)
    if new.max_queued is not None:
        fields["max_queued"] = str(new.max_queued)
    if new.budget is not None:
        fields |= {"budget_micro": str(new.budget.micro), "budget_period": new.budget.period}
    if new.models:
        fields["models"] = ",".join(new.models)
    return fields


def _flat(fields: dict[str, str]) -> list[str]:
    return [part for pair in fields.items() for part in pair]


def read_rate(text: str) -> Rate | None:
    """The rate of a record; None where the text is empty."""
    count, _, seconds = text.partition("/")
    return (int(count), int(seconds)) if count else None


def period_of(text: str) -> Period:
    """The period with this name. Raises ValueError."""
    for period in PERIODS:
        if period == text:
            return period
    raise ValueError(f"no period is named {text!r}")


def read_budget(micro: str, period: str) -> Budget | None:
    """The budget of a record; None where `micro` is empty."""
    return Budget(int(micro), period_of(period)) if micro else None


def read_models(text: str) -> tuple[str, ...]:
    """The model patterns of a record."""
    return tuple(text.split(",")) if text else ()


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
        models=read_models(row.get("models", "")),
    )


def _new_key(request: KeyRequest) -> NewKey:
    try:
        return NewKey(
            name=_name(request.name),
            role=request.role,
            owner=_owner(request.owner),
            rate=parse.rate(request.rate) if request.rate else None,
            max_queued=_max_queued(request.max_queued),
            budget=_budget(request.budget),
            expires_in_s=_ttl_s(request.expires) if request.expires else None,
            models=_models(request.models),
        )
    except ValueError as error:
        raise InvalidParameter(f"The key cannot be created: {error}.") from error


def _name(name: str) -> str:
    shown = name.strip()
    if not shown or len(shown) > _MAX_NAME or not shown.isprintable():
        raise ValueError(f"`name` must be 1 to {_MAX_NAME} printable characters")
    return shown


def _owner(owner: str | None) -> str | None:
    if owner is not None and not _OWNER.fullmatch(owner):
        raise ValueError("`owner` must be the owner of another key")
    return owner


def _max_queued(number: int | None) -> int | None:
    if number is not None and not 1 <= number <= _MAX_QUEUED:
        raise ValueError(f"`max_queued` must be 1 to {_MAX_QUEUED}")
    return number


def _models(patterns: tuple[str, ...]) -> tuple[str, ...]:
    if len(patterns) > _MAX_PATTERNS:
        raise ValueError(f"`models` must be at most {_MAX_PATTERNS} patterns")
    return tuple(word for pattern in patterns for word in parse.model_patterns(pattern))


def _ttl_s(text: str) -> float:
    seconds = parse.duration(text)
    if seconds > _MAX_TTL_S:
        raise ValueError(
            "`expires` must be within a hundred years; leave it out for a key that never expires"
        )
    return seconds


def _budget(text: str | None) -> Budget | None:
    if text is None:
        return None
    micro, period = parse.budget(text)
    return Budget(micro, period_of(period))


def _rate_text(rate: tuple[int, int]) -> str:
    unit = {1: "s", 60: "min", 3600: "h", 86400: "day"}[rate[1]]
    return f"{rate[0]}/{unit}"
