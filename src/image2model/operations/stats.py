"""The operator's numbers: spending by owner, model and day; the state of queues, endpoints and workers."""

from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import msgspec
from redis.asyncio import Redis

from image2model.access import accounts
from image2model.errors import InvalidParameter
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
    """All numbers. `spending` has the newest day first; days are UTC."""

    images_in_flight: int
    fal_concurrency: FalConcurrencyStats
    workers: int
    queues: tuple[QueueStats, ...]
    endpoints: tuple[EndpointStats, ...]
    total_cost_usd: float
    spending: tuple[Spending, ...]


def days_of(text: str | None) -> int:
    """Parse the query parameter `days`. Raises InvalidParameter."""
    if text is None:
        return DEFAULT_DAYS
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= MAX_DAYS and len(text) < 4):
        raise InvalidParameter(f"`days` must be a whole number from 1 to {MAX_DAYS}.")
    return int(text)


async def read(redis: Redis, days: int, concurrency: FalConcurrency, now: datetime | None = None) -> Stats:
    """The current numbers, and the spending of the last `days` days. Raises StoreOutage."""
    found = await fleet.read(redis)
    spent = await _spending(redis, days, now or datetime.now(UTC))
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
        total_cost_usd=to_usd(sum(micro for _, micro in spent)),
        spending=tuple(row for row, _ in spent),
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
