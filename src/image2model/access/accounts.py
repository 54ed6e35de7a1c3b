"""What an owner uses: unfinished images, money spent, and money reserved for images under way.

An address also has a limit of unfinished images, over all keys that are used from it. Lua scripts count in
the same step as the move that they count, so the numbers hold under any concurrency; this module reads them
and turns a refusal into a problem. All money is in micro-dollars.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.access import keys
from image2model.access.keys import Budget
from image2model.errors import BudgetExceeded, Problem, QueueFull, Unauthenticated
from image2model.money import to_usd
from image2model.store.keys import key
from image2model.store.scripts import Script

_USAGE: Final = Script("access/read_usage")
_RETRY_SECONDS: Final = 30
_PERIODS: Final = {"day": "a day", "month": "a month", "total": "in all"}
NO_KEY: Final = "(no key)"
"""Label of owners without a stored key: the settings' admin key, and all callers under `I2M_AUTH=none`."""
OTHERS: Final = "(others)"
MAX_ROWS: Final = 500
"""Rows that name their keys; what all others spent is summed up under `OTHERS`, by model."""


class AddressCap(msgspec.Struct, frozen=True):
    """How many unfinished images all keys used from one address may have together."""

    address: str
    max_queued: int


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What a key may use. `key` is its digest, empty for the admin key of the settings.

    Without a `budget` spending has no limit. Without an `address` the images count for no address.
    """

    key: str
    max_queued: int
    budget: Budget | None
    address: AddressCap | None = None


class Usage(msgspec.Struct, frozen=True, array_like=True):
    """What an owner uses: unfinished images, money spent in the period, money reserved.

    `at_address` counts the unfinished images of all keys used from the allowance's address.
    """

    unfinished: int
    spent: int
    reserved: int
    at_address: int = 0


class Refused(msgspec.Struct, frozen=True, array_like=True):
    """Why a script began nothing.

    `reason` is `revoked`, `queue_full` (unfinished, limit), `address_full` (limit), `budget` (left) or
    `lost`; `first` and `second` are the numbers in brackets.
    """

    reason: str
    first: int = 0
    second: int = 0


class Spent(msgspec.Struct, frozen=True):
    """What one owner spent on one model."""

    owner: str
    model: str
    micro: int


class SpentToday(msgspec.Struct, frozen=True):
    """What the owners of one set of key names spent on one model since midnight UTC, in micro-dollars."""

    names: str
    model: str
    micro: int


_usage = msgspec.msgpack.Decoder(Usage)


async def usage(redis: Redis, owner: str, allowance: Allowance) -> Usage:
    """What the owner uses now, in the period of the allowance's budget. Raises StoreOutage."""
    period = allowance.budget.period if allowance.budget else "total"
    address = allowance.address.address if allowance.address else ""
    return _usage.decode(await _USAGE.packed(redis, owner, period, address))


async def check_usage(redis: Redis, owner: str, allowance: Allowance | None) -> None:
    """Read what the owner uses, and check it against the allowance.

    Raises BudgetExceeded where no money is left, QueueFull where no further image may wait, StoreOutage.
    """
    if allowance is not None:
        check_limits(await usage(redis, owner, allowance), allowance)


def check_limits(used: Usage, allowance: Allowance) -> None:
    """Raises BudgetExceeded where no money is left, QueueFull where no further image may wait."""
    if used.unfinished >= allowance.max_queued:
        raise _queue_full(used.unfinished, allowance.max_queued)
    if allowance.address is not None and used.at_address >= allowance.address.max_queued:
        raise _address_full(allowance.address.max_queued)
    if allowance.budget is not None:
        left = allowance.budget.micro - used.spent - used.reserved
        if left <= 0:
            raise _over_budget(left, allowance.budget)


def script_terms(allowance: Allowance | None) -> tuple[str, int, int | bool, str, str, int] | bool:
    """An allowance in the form that the scripts take."""
    if allowance is None:
        return False
    budget, cap = allowance.budget, allowance.address
    micro, period = (budget.micro, budget.period) if budget else (False, "total")
    address, address_limit = (cap.address, cap.max_queued) if cap else ("", 0)
    return (allowance.key, allowance.max_queued, micro, period, address, address_limit)


def refusal(refused: Refused, allowance: Allowance | None) -> Problem:
    """The problem that answers a script's refusal."""
    if refused.reason == "queue_full":
        return _queue_full(refused.first, refused.second)
    if refused.reason == "address_full":
        return _address_full(refused.first)
    if refused.reason == "budget" and allowance is not None and allowance.budget is not None:
        return _over_budget(refused.first, allowance.budget)
    return Unauthenticated("This API key is no longer valid.")


def _queue_full(unfinished: int, limit: int) -> Problem:
    return QueueFull.after(
        f"This key may have {limit} unfinished images and has {unfinished}. Wait until some have ended.",
        _RETRY_SECONDS,
    )


def _address_full(limit: int) -> Problem:
    """The current number is left out: it would disclose what other keys do."""
    return QueueFull.after(
        f"Your address may have {limit} unfinished images, over all keys used from it, and this request "
        "would exceed that. Wait until some have ended.",
        _RETRY_SECONDS,
    )


def _over_budget(left: int, budget: Budget) -> BudgetExceeded:
    dollars = f"${to_usd(max(0, left)):.2f} of ${to_usd(budget.micro):.2f} {_PERIODS[budget.period]}"
    return BudgetExceeded(
        f"This request would cost more than this key's budget has left: {dollars}, after reserving for "
        "images under way. Send fewer pictures, or ask the operator for a larger budget."
    )


async def spent_today(redis: Redis) -> list[SpentToday]:
    """Today's spending (UTC), one row for each pair of names and model. Raises StoreOutage."""
    (spent,) = await spent_on(redis, [datetime.now(UTC).date().isoformat()])
    return sum_by_names(spent, await key_names_by_owner(redis)) if spent else []


async def spent_on(redis: Redis, days: Sequence[str]) -> list[list[Spent]]:
    """The spending of each of these UTC days (`2026-11-24`), by owner and model. Raises StoreOutage."""
    pipe = redis.pipeline(transaction=False)
    for day in days:
        pipe.hgetall(key("spend", day))
    return [_table(row) for row in await pipe.execute()]


def _table(row: dict[bytes, bytes]) -> list[Spent]:
    table = []
    for name, micro in row.items():
        owner, _, model = name.decode().partition(" ")
        table.append(Spent(owner, model, int(micro)))
    return sorted(table, key=lambda one: (one.owner, one.model))


async def key_names_by_owner(redis: Redis) -> dict[str, tuple[str, ...]]:
    """The names of each owner's keys, oldest first, including revoked keys. Raises StoreOutage."""
    names: dict[str, tuple[str, ...]] = {}
    for record in await keys.read_records(redis):
        names[record.owner] = (*names.get(record.owner, ()), record.name)
    return names


def sum_by_names(spent: Sequence[Spent], names: Mapping[str, tuple[str, ...]]) -> list[SpentToday]:
    """One row for all owners whose keys have the same names: names need not be unique, labels must be.

    The `MAX_ROWS` rows that spent most keep their names; one row for each model sums up the rest.
    """
    sums: defaultdict[tuple[str, str], int] = defaultdict(int)
    for one in spent:
        sums[",".join(sorted(set(names.get(one.owner, ())))) or NO_KEY, one.model] += one.micro
    shown: defaultdict[tuple[str, str], int] = defaultdict(int)
    for rank, pair in enumerate(sorted(sums, key=lambda pair: (-sums[pair], pair))):
        shown[pair if rank < MAX_ROWS else (OTHERS, pair[1])] += sums[pair]
    return [SpentToday(label, model, micro) for (label, model), micro in sorted(shown.items())]
