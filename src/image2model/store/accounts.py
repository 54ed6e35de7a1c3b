"""What an owner uses: unfinished images, money spent and money set aside for what is under way.

Who calls it: the acceptance of a batch and a retry, before they begin. The scripts do the counting, in the
same step as the move that they count, so that the numbers hold however many ask at once. All money is in
micro-dollars.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.errors import BudgetExceeded, Problem, QueueFull, Unauthenticated
from image2model.money import to_usd
from image2model.store.api_keys import Budget
from image2model.store.keys import key
from image2model.store.script import Script

_USAGE: Final = Script("read_usage")
_RETRY_SECONDS: Final = 30
_PERIODS: Final = {"day": "a day", "month": "a month", "total": "in all"}


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What a key may use. `key` is its digest, empty for the key of the settings; no `budget`: no bound."""

    key: str
    max_queued: int
    budget: Budget | None


class Usage(msgspec.Struct, frozen=True, array_like=True):
    """What an owner uses: images that are not final, money spent in the period, money set aside."""

    unfinished: int
    spent: int
    reserved: int


class Refused(msgspec.Struct, frozen=True, array_like=True):
    """Why a script began nothing: `revoked`, `queue_full` (unfinished, most), `budget` (left), `lost`."""

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
    return _usage.decode(await _USAGE.packed(redis, owner, period))


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
    if allowance.budget is not None:
        left = allowance.budget.micro - used.spent - used.reserved
        if left <= 0:
            raise _over_budget(left, allowance.budget)


def terms(allowance: Allowance | None) -> tuple[str, int, int | bool, str] | bool:
    """An allowance as the scripts take it."""
    if allowance is None:
        return False
    if allowance.budget is None:
        return (allowance.key, allowance.max_queued, False, "total")
    return (allowance.key, allowance.max_queued, allowance.budget.micro, allowance.budget.period)


def refuse(refused: Refused, allowance: Allowance | None) -> Problem:
    """A script's refusal as the problem to answer with."""
    if refused.why == "queue_full":
        return _queue_full(refused.first, refused.second)
    if refused.why == "budget" and allowance is not None and allowance.budget is not None:
        return _over_budget(refused.first, allowance.budget)
    return Unauthenticated("This API key is no longer valid.")


def _queue_full(unfinished: int, most: int) -> Problem:
    return QueueFull.after(
        f"This key may have {most} unfinished images, and has {unfinished}. Wait until some have ended.",
        _RETRY_SECONDS,
    )


def _over_budget(left: int, budget: Budget) -> BudgetExceeded:
    dollars = f"${to_usd(max(0, left)):.2f} of ${to_usd(budget.micro):.2f} {_PERIODS[budget.period]}"
    return BudgetExceeded(
        f"This key's budget has {dollars} left, with what is under way set aside; this would cost more."
    )
