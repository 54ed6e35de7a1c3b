"""`/metrics` of the API: the process's own metrics, and gauges of the store and the fleet.

The store's gauges come from this process's write probe, so they are present also while the store is away; the
fleet's gauges are missing then. Spending by key is shown only behind `I2M_METRICS_TOKEN`, or where no keys
are used.
"""

import asyncio
import hmac
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from redis.asyncio import Redis
from starlette.requests import Request
from starlette.responses import Response

from image2model.access import accounts
from image2model.access.state import state_of
from image2model.catalogue import balance, bills, stored
from image2model.catalogue.bills import Drift
from image2model.errors import Unauthenticated
from image2model.generation import fal_deletions
from image2model.jobs.state import JobsState
from image2model.money import to_usd
from image2model.queue import fleet, window
from image2model.queue.window import FalConcurrency, Window
from image2model.store.condition import StoreCondition
from image2model.store.connection import StoreOutage
from image2model.telemetry.metrics import MEDIA_TYPE, collected

_log: Final = structlog.stdlib.get_logger(__name__)
_DEADLINE_S: Final = 2.0


class StoreGauges(msgspec.Struct, kw_only=True, eq=False):
    """The store as this process sees it. `state` is one of `states`; `writable`: it accepts writes."""

    state: str
    states: Sequence[str]
    writable: bool

    def collect(self) -> Iterator[Metric]:
        """prometheus_client's collector interface."""
        writable = "1 while the store accepts writes, as probed by this process."
        yield GaugeMetricFamily("image2model_store_writable", writable, value=int(self.writable))
        state = GaugeMetricFamily(
            "image2model_store_state",
            "1 for the current state of the store, 0 for all other states.",
            labels=["state"],
        )
        for name in self.states:
            state.add_metric([name], int(name == self.state))
        yield state


class QueueGauge(msgspec.Struct, frozen=True):
    """One queue: waiting tasks, age of the oldest in seconds, reasons of a pause."""

    queue: str
    waiting: int
    oldest_seconds: float
    paused: Sequence[str]


class SpendGauge(msgspec.Struct, frozen=True):
    """What keys spent on one model since midnight UTC, in dollars; `key` are the keys' names."""

    key: str
    model: str
    usd: float


class EndpointGauge(msgspec.Struct, frozen=True):
    """One of FAL's endpoints with an open circuit, and the images that wait for it."""

    model: str
    waiting: int


class AccountGauges(msgspec.Struct, kw_only=True, eq=False):
    """FAL's account and prices. `balance_usd` None: not read; `enough_for` None: not known."""

    drifts: Sequence[Drift]
    catalogue_updated_at: float
    balance_usd: float | None = None
    enough_for: int | None = None

    def collect(self) -> Iterator[Metric]:
        """prometheus_client's collector interface."""
        drift = GaugeMetricFamily(
            "image2model_price_drift_ratio",
            "What FAL billed lately, relative to what was quoted: 0.1 is a tenth more.",
            labels=["model"],
        )
        for one in self.drifts:
            drift.add_metric([one.model], one.ratio)
        yield drift
        yield GaugeMetricFamily(
            "image2model_catalogue_updated_timestamp_seconds",
            "Time when FAL's list of models was read last (Unix time); 0: never.",
            value=self.catalogue_updated_at,
        )
        if self.balance_usd is not None:
            yield GaugeMetricFamily(
                "image2model_fal_balance_usd", "Balance of FAL's account in dollars.", value=self.balance_usd
            )
        if self.enough_for is not None:
            yield GaugeMetricFamily(
                "image2model_fal_balance_pictures",
                "Pictures that the balance pays for, at their mean cost of late.",
                value=self.enough_for,
            )


class FleetGauges(msgspec.Struct, kw_only=True, eq=False):
    """The fleet at one moment; `heartbeats` are (worker, Unix time of its last heartbeat)."""

    in_flight: int
    queues: Sequence[QueueGauge]
    heartbeats: Sequence[tuple[str, float]]
    spending: Sequence[SpendGauge]
    endpoints: Sequence[EndpointGauge] = ()
    workers_lost: int = 0
    deletions_pending: int = 0
    deletions_failing: int = 0
    admin_key_refused: bool = False
    window: Window | None = None

    def collect(self) -> Iterator[Metric]:
        """prometheus_client's collector interface."""
        in_flight = "Images that hold a permit: FAL is working on them."
        yield GaugeMetricFamily("image2model_images_in_flight", in_flight, value=self.in_flight)
        yield from self._queues()
        yield from self._endpoints()
        yield from self._window()
        beats = GaugeMetricFamily(
            "image2model_worker_heartbeat_timestamp_seconds",
            "Time of a worker's last heartbeat (Unix time).",
            labels=["worker"],
        )
        for worker, at in self.heartbeats:
            beats.add_metric([worker], at)
        yield beats
        yield CounterMetricFamily(
            "image2model_workers_lost",
            "Workers that were lost without a clean stop: killed, crashed, or disconnected.",
            value=self.workers_lost,
        )
        yield from self._deletions()
        yield self._spending()

    def _deletions(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "image2model_fal_deletions_pending",
            "Requests that are to be deleted at FAL now.",
            value=self.deletions_pending,
        )
        yield GaugeMetricFamily(
            "image2model_fal_deletions_failing",
            "Those of them that were tried at least once.",
            value=self.deletions_failing,
        )
        yield GaugeMetricFamily(
            "image2model_fal_admin_key_refused",
            "1 while FAL refuses I2M_FAL_ADMIN_KEY, so that nothing is deleted there.",
            value=int(self.admin_key_refused),
        )

    def _endpoints(self) -> Iterator[Metric]:
        is_open = GaugeMetricFamily(
            "image2model_endpoint_circuit_open",
            "1 while this endpoint of FAL refuses or fails.",
            labels=["model"],
        )
        waiting = GaugeMetricFamily(
            "image2model_endpoint_waiting",
            "Images that wait for an endpoint with an open circuit.",
            labels=["model"],
        )
        for one in self.endpoints:
            is_open.add_metric([one.model], 1)
            waiting.add_metric([one.model], one.waiting)
        yield from (is_open, waiting)

    def _spending(self) -> Metric:
        spend = GaugeMetricFamily(
            "image2model_spend_usd",
            "Dollars spent since midnight UTC, by the name of the key.",
            labels=["key", "model"],
        )
        for one in self.spending:
            spend.add_metric([one.key, one.model], one.usd)
        return spend

    def _window(self) -> Iterator[Metric]:
        if self.window is None:
            return
        limit = GaugeMetricFamily(
            "image2model_fal_concurrency_limit",
            "How many requests FAL runs at once for the account, learned or set.",
            value=self.window.limit,
        )
        yield limit
        for name, value, meaning in (
            ("running", self.window.running, "Images that FAL is generating."),
            ("waiting", self.window.waiting, "Images that wait in FAL's own queue: the look-ahead."),
        ):
            yield GaugeMetricFamily(f"image2model_fal_{name}", meaning, value=value)

    def _queues(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily("image2model_queue_depth", "Waiting tasks.", labels=["queue"])
        oldest = GaugeMetricFamily(
            "image2model_queue_oldest_seconds", "Age of the oldest waiting task.", labels=["queue"]
        )
        paused = GaugeMetricFamily(
            "image2model_queue_paused", "1 while a queue is paused.", labels=["queue", "reason"]
        )
        for one in self.queues:
            depth.add_metric([one.queue], one.waiting)
            oldest.add_metric([one.queue], one.oldest_seconds)
            for reason in one.paused:
                paused.add_metric([one.queue, reason], 1)
        yield from (depth, oldest, paused)


async def metrics(request: Request) -> Response:
    """200 with Prometheus' text format.

    Raises Unauthenticated if `I2M_METRICS_TOKEN` is set and the request lacks it, and RateLimited for an
    address that guesses.
    """
    state = state_of(request, JobsState)
    await _check_token(state, request)
    may_show_spending = state.settings.metrics_token is not None or state.settings.auth == "none"
    fleet_gauges, account, store = await asyncio.gather(
        _fleet(state.redis, FalConcurrency.of(state.settings), with_spending=may_show_spending),
        _account(state.redis, with_balance=may_show_spending),
        state.write_probe.condition(),
    )
    text = await asyncio.to_thread(exposition, fleet_gauges, _store(store), account)
    return Response(text, headers={"Content-Type": MEDIA_TYPE})


def exposition(fleet: FleetGauges | None, store: StoreGauges, account: AccountGauges | None = None) -> bytes:
    """All metrics; `fleet` and `account` are None if the store cannot be read. Blocks: it may read files."""
    shared = CollectorRegistry()
    shared.register(store)
    if account is not None:
        shared.register(account)
    if fleet is not None:
        shared.register(fleet)
    return generate_latest(collected()) + generate_latest(shared)


def _store(condition: StoreCondition) -> StoreGauges:
    writable = condition is StoreCondition.WRITABLE
    return StoreGauges(state=condition.value, states=list(StoreCondition), writable=writable)


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
