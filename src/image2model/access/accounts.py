"""What an owner uses: unfinished images, money spent and money set aside for what is under way.

An address uses places in the queue as well, over all keys that come from it.

Who calls it: the acceptance of a batch and a retry, before they begin. The scripts do the counting, in the
same step as the move that they count, so that the numbers hold however many ask at once. All money is in
micro-dollars.
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


class AddressCap(msgspec.Struct, frozen=True):
    """Unfinished images that all keys from one address may have together."""

    address: str
    max_queued: int


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What a key may use. `key` is its digest, empty for the key of the settings; no `budget`: no bound.

    Without an `address` what is asked for counts for none.
    """

    key: str
    max_queued: int
    budget: Budget | None
    address: AddressCap | None = None


class Usage(msgspec.Struct, frozen=True, array_like=True):
    """What an owner uses: images that are not final, money spent in the period, money set aside.

    `at_address`: images that are not final of all keys from the allowance's address.
    """

    unfinished: int
    spent: int
    reserved: int
    at_address: int = 0


class Refused(msgspec.Struct, frozen=True, array_like=True):
    """Why a script began nothing: `revoked`, `queue_full` (unfinished, most), `address_full` (most),
    `budget` (left), `lost`.
    """

    why: str
    first: int = 0
    second: int = 0


class Spent(msgspec.Struct, frozen=True):
    """What one owner spent on one model."""

    owner: str
    model: str
    micro: int


_usage = msgspec.msgpack.Decoder(Usage)


async def usage(redis: Redis, owner: str, allowance: Allowance) -> Usage:
    """What the owner uses just now, in the period of the allowance's budget."""
    period = allowance.budget.period if allowance.budget else "total"
    address = allowance.address.address if allowance.address else ""
    return _usage.decode(await _USAGE.packed(redis, owner, period, address))


async def spent_on(redis: Redis, days: Sequence[str]) -> list[list[Spent]]:
    """Who spent what on each of these UTC days (`2026-11-24`), by owner and model."""
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


def check(used: Usage, allowance: Allowance) -> None:
    """Raises BudgetExceeded where nothing is left, QueueFull where no image more may wait."""
    if used.unfinished >= allowance.max_queued:
        raise _queue_full(used.unfinished, allowance.max_queued)
    if allowance.address is not None and used.at_address >= allowance.address.max_queued:
        raise _address_full(allowance.address.max_queued)
    if allowance.budget is not None:
        left = allowance.budget.micro - used.spent - used.reserved
        if left <= 0:
            raise _over_budget(left, allowance.budget)


def terms(allowance: Allowance | None) -> tuple[str, int, int | bool, str, str, int] | bool:
    """An allowance as the scripts take it."""
    if allowance is None:
        return False
    budget, place = allowance.budget, allowance.address
    micro, period = (budget.micro, budget.period) if budget else (False, "total")
    address, most = (place.address, place.max_queued) if place else ("", 0)
    return (allowance.key, allowance.max_queued, micro, period, address, most)


def refuse(refused: Refused, allowance: Allowance | None) -> Problem:
    """A script's refusal as the problem to answer with."""
    if refused.why == "queue_full":
        return _queue_full(refused.first, refused.second)
    if refused.why == "address_full":
        return _address_full(refused.first)
    if refused.why == "budget" and allowance is not None and allowance.budget is not None:
        return _over_budget(refused.first, allowance.budget)
    return Unauthenticated("This API key is no longer valid.")


def _queue_full(unfinished: int, most: int) -> Problem:
    return QueueFull.after(
        f"This key may have {most} unfinished images, and has {unfinished}. Wait until some have ended.",
        _RETRY_SECONDS,
    )


def _address_full(most: int) -> Problem:
    """How many there are is not said: it would tell what other keys do."""
    return QueueFull.after(
        f"Your address may have {most} unfinished images, over all keys that are used from it, and this "
        "would be more. Wait until some have ended.",
        _RETRY_SECONDS,
    )


def _over_budget(left: int, budget: Budget) -> BudgetExceeded:
    dollars = f"${to_usd(max(0, left)):.2f} of ${to_usd(budget.micro):.2f} {_PERIODS[budget.period]}"
    return BudgetExceeded(
        f"This key's budget has {dollars} left, with what is under way set aside; this would cost more."
    )


async def check_unused(redis: Redis, owner: str, allowance: Allowance | None) -> None:
    """Raises BudgetExceeded where nothing is left, QueueFull where no image more may wait."""
    if allowance is not None:
        check(await usage(redis, owner, allowance), allowance)


NO_KEY: Final = "(no key)"
"""Stands for an owner without a key on record: the settings' admin key, everybody under `I2M_AUTH=none`."""
OTHERS: Final = "(others)"
MOST_SHOWN: Final = 500
"""Pairs of names and models that are told apart; what the rest spent goes to `OTHERS`, by model."""


class SpentToday(msgspec.Struct, frozen=True):
    """What the owners of one set of key names spent on one model since midnight UTC, in micro-dollars."""

    names: str
    model: str
    micro: int


async def names_of_owners(redis: Redis) -> dict[str, tuple[str, ...]]:
    """The names of each owner's keys, the oldest first, those of revoked ones too."""
    names: dict[str, tuple[str, ...]] = {}
    for record in await keys.read_records(redis):
        names[record.owner] = (*names.get(record.owner, ()), record.name)
    return names


async def today(redis: Redis) -> list[SpentToday]:
    """This UTC day's spending; no two rows have names and model alike. Raises StoreOutage."""
    (spent,) = await spent_on(redis, [datetime.now(UTC).date().isoformat()])
    return by_names(spent, await names_of_owners(redis)) if spent else []


def by_names(spent: Sequence[Spent], names: Mapping[str, tuple[str, ...]]) -> list[SpentToday]:
    """One row for all owners whose keys are called alike: names need not be unique, labels must.

    At most `MOST_SHOWN` rows tell who it was, those that spent most, and one for each model sums up the rest.
    """
    sums: defaultdict[tuple[str, str], int] = defaultdict(int)
    for one in spent:
        sums[",".join(sorted(set(names.get(one.owner, ())))) or NO_KEY, one.model] += one.micro
    shown: defaultdict[tuple[str, str], int] = defaultdict(int)
    for rank, pair in enumerate(sorted(sums, key=lambda pair: (-sums[pair], pair))):
        shown[pair if rank < MOST_SHOWN else (OTHERS, pair[1])] += sums[pair]
    return [SpentToday(label, model, micro) for (label, model), micro in sorted(shown.items())]
