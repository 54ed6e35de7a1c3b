"""`GET /metrics`. Who calls it: the router, for Prometheus.

The fleet's gauges come from the store at each scrape, with a deadline: a store that is away must not hide
what this process has counted. Who spent what is told only to who has the token, or where nobody needs a key.
"""

import asyncio
import hmac
from contextlib import suppress
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from redis.asyncio import Redis
from starlette.requests import Request
from starlette.responses import Response

from image2model.api.access_state import state_of
from image2model.api.jobs_state import JobsState
from image2model.errors import Unauthenticated
from image2model.money import to_usd
from image2model.service import spending
from image2model.store import fleet
from image2model.store.condition import StoreCondition
from image2model.store.connection import StoreOutage
from image2model.telemetry.exposition import MEDIA_TYPE, counted
from image2model.telemetry.fleet_gauges import EndpointGauge, FleetGauges, QueueGauge, SpendGauge
from image2model.telemetry.store_gauges import StoreGauges

_DEADLINE: Final = 2.0
_log: Final = structlog.stdlib.get_logger(__name__)


async def metrics(request: Request) -> Response:
    """Prometheus' text format.

    Raises Unauthenticated where `I2M_METRICS_TOKEN` is set and not sent, and RateLimited for an address that
    guesses.
    """
    state = state_of(request, JobsState)
    await _check_token(state, request)
    vouched = state.settings.metrics_token is not None or state.settings.auth == "none"
    fleet_gauges, store = await asyncio.gather(
        _fleet(state.redis, spenders=vouched), state.write_probe.condition()
    )
    text = await asyncio.to_thread(exposition, fleet_gauges, _store(store))
    return Response(text, headers={"Content-Type": MEDIA_TYPE})


def exposition(fleet: FleetGauges | None, store: StoreGauges) -> bytes:
    """All metrics, with the fleet's where the store could be asked. Blocks: it may read files."""
    shared = CollectorRegistry()
    shared.register(store)
    if fleet is not None:
        shared.register(fleet)
    return generate_latest(counted()) + generate_latest(shared)


def _store(condition: StoreCondition) -> StoreGauges:
    writable = condition is StoreCondition.WRITABLE
    return StoreGauges(state=condition.value, states=list(StoreCondition), writable=writable)


async def _check_token(state: JobsState, request: Request) -> None:
    """A person chose the token, so it can be guessed, and counts as the first admin key does."""
    token, sent = state.settings.metrics_token, request.headers.get("authorization", "")
    if token is None:
        return
    if hmac.compare_digest(sent.encode("latin-1"), f"Bearer {token}".encode()):
        with suppress(StoreOutage, TimeoutError):  # a store that is away hides nothing
            async with asyncio.timeout(_DEADLINE):
                await state.rates.refuse_guessers(request.scope)
        return
    if sent:
        await state.rates.count_guess(request.scope)
    raise Unauthenticated("Send the metrics token as a Bearer token.", headers={"WWW-Authenticate": "Bearer"})


async def _fleet(redis: Redis, *, spenders: bool) -> FleetGauges | None:
    try:
        async with asyncio.timeout(_DEADLINE):
            found = await fleet.read(redis)
            spent = await spending.today(redis) if spenders else []
    except (StoreOutage, TimeoutError) as error:
        _log.warning("fleet_gauges_missing", reason=str(error))
        return None
    return FleetGauges(
        in_flight=found.permits,
        queues=[QueueGauge(one.queue, one.waiting, one.oldest_ms / 1000, one.paused) for one in found.queues],
        heartbeats=[(one.beat.worker_id, one.beat_at / 1000) for one in found.workers],
        workers_lost=found.workers_lost,
        endpoints=[EndpointGauge(one.model, one.waiting) for one in found.endpoints],
        spending=[SpendGauge(one.names, one.model, to_usd(one.micro)) for one in spent],
    )
