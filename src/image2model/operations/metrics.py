"""`/metrics` of the API: the process's own metrics, and gauges of the store and the fleet.

The store's state comes from this process's write probe, so it is present also while the store is away. The
fleet's gauges are missing then; unfinished work stays as it was read last, because nobody may take its
absence for its end. Spending by key is shown only behind `I2M_METRICS_TOKEN`, or where no keys are used.
"""

import asyncio
import hmac
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import Collector
from redis.asyncio import Redis
from starlette.requests import Request
from starlette.responses import Response

from image2model.access import accounts
from image2model.access.state import state_of
from image2model.catalogue import balance, bills, stored
from image2model.errors import DiskFull, Unauthenticated
from image2model.generation import fal_deletions
from image2model.jobs.state import JobsState
from image2model.money import to_usd
from image2model.operations.gauges import (
    AccountGauges,
    EndpointGauge,
    FleetGauges,
    QueueGauge,
    ServerGauges,
    SpendGauge,
    StorageGauges,
    StoreGauges,
    WorkGauges,
)
from image2model.queue import fleet, window, work
from image2model.queue.window import FalConcurrency
from image2model.storage.errors import StorageError
from image2model.storage.objects import MIN_FREE_BYTES, ObjectStorage
from image2model.store import server_load
from image2model.store.condition import StoreCondition
from image2model.store.connection import StoreOutage
from image2model.telemetry.metrics import MEDIA_TYPE, collected

_log: Final = structlog.stdlib.get_logger(__name__)
_DEADLINE_S: Final = 2.0


class LastWork:
    """Unfinished work as this process read it last. Belongs to one event loop."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._last: WorkGauges | None = None

    async def read(self) -> WorkGauges | None:
        """As it is now; while the store is away as it was; None if it was never read."""
        try:
            async with asyncio.timeout(_DEADLINE_S):
                found = await work.read(self._redis)
        except (StoreOutage, TimeoutError) as error:
            _log.warning("work_not_read", reason=str(error))
            return self._last
        self._last = WorkGauges(
            images={state.value: count for state, count in found.images.items()},
            webhooks_due=found.webhooks_due,
            webhooks_later=found.webhooks_later,
            dead_letters=found.dead_letters,
            read_at=found.at / 1000,
        )
        return self._last


@dataclass(frozen=True, kw_only=True)
class MetricsState(JobsState):
    """What `/metrics` needs. Shared by all requests of one process."""

    last_work: LastWork


async def metrics(request: Request) -> Response:
    """200 with Prometheus' text format.

    Raises Unauthenticated if `I2M_METRICS_TOKEN` is set and the request lacks it, and RateLimited for an
    address that guesses.
    """
    state = state_of(request, MetricsState)
    await _check_token(state, request)
    may_show_spending = state.settings.metrics_token is not None or state.settings.auth == "none"
    found = await asyncio.gather(
        state.last_work.read(),
        _fleet(state.redis, FalConcurrency.of(state.settings), with_spending=may_show_spending),
        _account(state.redis, with_balance=may_show_spending),
        _server(state.redis),
        _storage(state.storage),
        _store(state),
    )
    text = await asyncio.to_thread(exposition, [one for one in found if one is not None])
    return Response(text, headers={"Content-Type": MEDIA_TYPE})


def exposition(gauges: Iterable[Collector]) -> bytes:
    """The metrics of this machine's processes, and `gauges`. Blocks: it may read files."""
    shared = CollectorRegistry()
    for one in gauges:
        shared.register(one)
    return generate_latest(collected()) + generate_latest(shared)


async def _store(state: JobsState) -> StoreGauges:
    found = await state.write_probe.condition()
    writable = found is StoreCondition.WRITABLE
    return StoreGauges(state=found.value, states=list(StoreCondition), writable=writable)


async def _server(redis: Redis) -> ServerGauges | None:
    try:
        async with asyncio.timeout(_DEADLINE_S):
            load = await server_load.read(redis)
    except (StoreOutage, TimeoutError) as error:
        _log.warning("server_gauges_missing", reason=str(error))
        return None
    return None if load is None else ServerGauges(load=load)


async def _storage(storage: ObjectStorage) -> StorageGauges | None:
    """None for a storage without a disk of its own, and for one that cannot be read: readiness says why."""
    try:
        async with asyncio.timeout(_DEADLINE_S):
            free = await storage.free_bytes()
    except (StorageError, DiskFull, TimeoutError) as error:
        _log.warning("storage_gauges_missing", reason=str(error))
        return None
    return None if free is None else StorageGauges(free=free, least=MIN_FREE_BYTES)


async def _check_token(state: JobsState, request: Request) -> None:
    """A person chose the token, so it can be guessed; guesses count as for the admin key."""
    token, sent = state.settings.metrics_token, request.headers.get("authorization", "")
    if token is None:
        return
    if hmac.compare_digest(sent.encode("latin-1"), f"Bearer {token}".encode()):
        with suppress(StoreOutage, TimeoutError):  # an outage of the store must not hide the metrics
            async with asyncio.timeout(_DEADLINE_S):
                await state.rates.refuse_guessers(request.scope)
        return
    if sent:
        await state.rates.count_guess(request.scope)
    raise Unauthenticated(
        "Send the metrics token as `Authorization: Bearer <token>`.", headers={"WWW-Authenticate": "Bearer"}
    )


async def _fleet(redis: Redis, concurrency: FalConcurrency, *, with_spending: bool) -> FleetGauges | None:
    try:
        async with asyncio.timeout(_DEADLINE_S):
            found = await fleet.read(redis)
            deletions = await fal_deletions.read(redis)
            at_fal = await window.read(redis, concurrency)
            spent = await accounts.spent_today(redis) if with_spending else []
    except (StoreOutage, TimeoutError) as error:
        _log.warning("fleet_gauges_missing", reason=str(error))
        return None
    return FleetGauges(
        in_flight=found.permits,
        window=at_fal,
        queues=[QueueGauge(one.queue, one.waiting, one.oldest_ms / 1000, one.paused) for one in found.queues],
        heartbeats=[(one.heartbeat.worker_id, one.heartbeat_at / 1000) for one in found.workers],
        workers_lost=found.workers_lost,
        deletions_pending=deletions.pending,
        deletions_failing=deletions.failing,
        admin_key_refused=deletions.refused != "",
        endpoints=[EndpointGauge(one.model, one.waiting) for one in found.endpoints],
        spending=[SpendGauge(one.names, one.model, to_usd(one.micro)) for one in spent],
    )


async def _account(redis: Redis, *, with_balance: bool) -> AccountGauges | None:
    try:
        async with asyncio.timeout(_DEADLINE_S):
            drifts, head = await bills.drifts(redis), await stored.head(redis)
            found = await balance.read(redis) if with_balance else None
    except (StoreOutage, TimeoutError) as error:
        _log.warning("account_gauges_missing", reason=str(error))
        return None
    return AccountGauges(
        drifts=drifts,
        catalogue_updated_at=head.updated_at / 1000,
        balance_usd=None if found is None or found.micro is None else to_usd(found.micro),
        enough_for=None if found is None else found.enough_for,
    )
