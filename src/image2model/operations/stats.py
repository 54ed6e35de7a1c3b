"""The operator's numbers: spending by owner, model and day; the state of queues, endpoints and workers."""

from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import msgspec
from redis.asyncio import Redis

from image2model.access import accounts
from image2model.catalogue import balance, bills, stored
from image2model.errors import InvalidParameter
from image2model.generation import fal_deletions
from image2model.http.documents import moment
from image2model.money import to_usd
from image2model.queue import fleet, window
from image2model.queue.circuits import EndpointState, Fault
from image2model.queue.window import FalConcurrency, Window

DEFAULT_DAYS: Final = 30
MAX_DAYS: Final = 366


class Spending(msgspec.Struct, frozen=True, kw_only=True):
    """One day's spending of one owner on one model; `keys` names the owner's keys."""

    day: str
    owner: str
    keys: tuple[str, ...]
    model: str
    cost_usd: float


class QueueStats(msgspec.Struct, frozen=True, kw_only=True):
    """One queue."""

    name: str
    waiting: int
    oldest_seconds: float
    paused: tuple[str, ...]


class EndpointStats(msgspec.Struct, frozen=True, kw_only=True):
    """One of FAL's endpoints that refuses or fails, so that its images wait.

    `message` is FAL's message; the next image tries the endpoint at `next_probe_at`.
    """

    model: str
    why: Literal["refused", "failing"]
    message: str
    since: str
    next_probe_at: str
    waiting: int


class PriceDrift(msgspec.Struct, frozen=True, kw_only=True):
    """FAL billed another amount than was quoted, over the last `bookings` of a model. 0.1 is a tenth more."""

    model: str
    quoted_usd: float
    billed_usd: float
    drift: float
    bookings: int


class FalBalance(msgspec.Struct, frozen=True, kw_only=True):
    """The balance of FAL's account, read with I2M_FAL_ADMIN_KEY at `read_at`; null until that worked.

    `enough_for`: how many more pictures it pays for, at their mean cost of late. `warning`: what to do, empty
    where nothing needs to be done.
    """

    balance_usd: float | None
    read_at: str | None
    enough_for: int | None
    warning: str


class ModelCatalogue(msgspec.Struct, frozen=True, kw_only=True):
    """FAL's list of models: when it was read last, when FAL was last asked, and why that failed."""

    updated_at: str | None
    checked_at: str | None
    error: str


class FalDeletions(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that must be deleted at FAL, under `I2M_FAL_PRIVACY=private`.

    `kept` still run, or a file of their result is still missing. `pending` are to be deleted now; `failing`
    of them were tried at least once. `done` is the number of all deleted so far. `refused` is why FAL refuses
    the admin key, null where it does not.
    """

    kept: int
    pending: int
    done: int
    failing: int
    refused: str | None
    last_error: str | None
    last_error_at: str | None


class FalConcurrencyStats(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests FAL runs at once for the account, and how many of ours run and wait there now.

    `source`: `learned` from what FAL reports, `set` by `I2M_FAL_CONCURRENCY`, `header`: FAL has said it.
    `since` is when it changed; `endpoints` are limits of single endpoints.
    """

    limit: int
    running: int
    waiting: int
    source: Literal["learned", "set", "header"]
    endpoints: dict[str, int]
    since: str | None


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """All numbers. `spending` has the newest day first; days are UTC.

    `price_drift` has the models whose drift is over 10 %; `fal_balance` is null without an admin key for FAL.
    """

    images_in_flight: int
    fal_concurrency: FalConcurrencyStats
    workers: int
    queues: tuple[QueueStats, ...]
    endpoints: tuple[EndpointStats, ...]
    fal_privacy: str
    fal_deletions: FalDeletions
    total_cost_usd: float
    spending: tuple[Spending, ...]
    price_drift: tuple[PriceDrift, ...] = ()
    fal_balance: FalBalance | None = None
    catalogue: ModelCatalogue | None = None


def days_of(text: str | None) -> int:
    """Parse the query parameter `days`. Raises InvalidParameter."""
    if text is None:
        return DEFAULT_DAYS
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= MAX_DAYS and len(text) < 4):
        raise InvalidParameter(f"`days` must be a whole number from 1 to {MAX_DAYS}.")
    return int(text)


async def read(
    redis: Redis,
    days: int,
    concurrency: FalConcurrency,
    now: datetime | None = None,
    *,
    fal_privacy: str = "default",
) -> Stats:
    """The current numbers, and the spending of the last `days` days. Raises StoreOutage."""
    found = await fleet.read(redis)
    deletions = await fal_deletions.read(redis)
    spent = await _spending(redis, days, now or datetime.now(UTC))
    head = await stored.head(redis)
    return Stats(
        images_in_flight=found.permits,
        fal_concurrency=_concurrency(await window.read(redis, concurrency)),
        workers=len(found.workers),
        queues=tuple(
            QueueStats(
                name=one.queue,
                waiting=one.waiting,
                oldest_seconds=one.oldest_ms / 1000,
                paused=tuple(one.paused),
            )
            for one in found.queues
        ),
        endpoints=tuple(_endpoint(one) for one in found.endpoints),
        fal_privacy=fal_privacy,
        fal_deletions=FalDeletions(
            kept=deletions.kept,
            pending=deletions.pending,
            done=deletions.done,
            failing=deletions.failing,
            refused=deletions.refused or None,
            last_error=deletions.last_error or None,
            last_error_at=moment(deletions.last_error_at or None),
        ),
        total_cost_usd=to_usd(sum(micro for _, micro in spent)),
        spending=tuple(row for row, _ in spent),
        price_drift=tuple(_drift(one) for one in await bills.drifts(redis) if one.is_large),
        fal_balance=_balance(await balance.read(redis)),
        catalogue=ModelCatalogue(
            updated_at=moment(head.updated_at or None),
            checked_at=moment(head.checked_at or None),
            error=head.error,
        ),
    )


def _drift(one: bills.Drift) -> PriceDrift:
    return PriceDrift(
        model=one.model,
        quoted_usd=to_usd(one.quoted_micro),
        billed_usd=to_usd(one.billed_micro),
        drift=round(one.ratio, 4),
        bookings=one.bookings,
    )


def _balance(found: balance.Balance | None) -> FalBalance | None:
    if found is None:
        return None
    return FalBalance(
        balance_usd=None if found.micro is None else to_usd(found.micro),
        read_at=moment(found.read_at or None),
        enough_for=found.enough_for,
        warning=found.warning,
    )


def _concurrency(found: Window) -> FalConcurrencyStats:
    return FalConcurrencyStats(
        limit=found.limit,
        running=found.running,
        waiting=found.waiting,
        source=found.source,
        endpoints=found.endpoints,
        since=moment(found.since) if found.since else None,
    )


def _endpoint(state: EndpointState) -> EndpointStats:
    return EndpointStats(
        model=state.model,
        why="refused" if state.why is Fault.REFUSED else "failing",
        message=state.message,
        since=moment(state.opened_at) or "",
        next_probe_at=moment(state.probe_at) or "",
        waiting=state.waiting,
    )


async def _spending(redis: Redis, days: int, now: datetime) -> list[tuple[Spending, int]]:
    names = await accounts.key_names_by_owner(redis)
    dates = [(now - timedelta(days=back)).date().isoformat() for back in range(days)]
    return [
        (
            Spending(
                day=day,
                owner=one.owner,
                keys=names.get(one.owner, ()),
                model=one.model,
                cost_usd=to_usd(one.micro),
            ),
            one.micro,
        )
        for day, table in zip(dates, await accounts.spent_on(redis, dates), strict=True)
        for one in table
    ]
