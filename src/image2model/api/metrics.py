"""`GET /metrics`. Who calls it: the router, for Prometheus.

The fleet's gauges come from the store at each scrape, with a deadline: a store that is away must not hide
what this process has counted.
"""

import asyncio
import hmac
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response

from image2model.api.state import state_of
from image2model.errors import Unauthenticated
from image2model.money import to_usd
from image2model.service import spending
from image2model.store import fleet
from image2model.telemetry.exposition import MEDIA_TYPE, exposition
from image2model.telemetry.fleet_gauges import FleetGauges, QueueGauge, SpendGauge

_DEADLINE: Final = 2.0
_log: Final = structlog.stdlib.get_logger(__name__)


async def metrics(request: Request) -> Response:
    """Prometheus' text format. Raises Unauthenticated where `I2M_METRICS_TOKEN` is set and not sent."""
    state = state_of(request)
    _check_token(state.settings.metrics_token, request.headers.get("authorization", ""))
    gauges = await _gauges(state.redis)
    return Response(await asyncio.to_thread(exposition, gauges), headers={"Content-Type": MEDIA_TYPE})


def _check_token(token: str | None, sent: str) -> None:
    if token is not None and not hmac.compare_digest(sent.encode(), f"Bearer {token}".encode()):
        raise Unauthenticated(
            "Send the metrics token as a Bearer token.", headers={"WWW-Authenticate": "Bearer"}
        )


async def _gauges(redis: Redis) -> FleetGauges | None:
    try:
        async with asyncio.timeout(_DEADLINE):
            found, spent = await fleet.read(redis), await spending.today(redis)
    except (RedisError, TimeoutError) as error:
        _log.warning("fleet_gauges_missing", reason=str(error))
        return None
    return FleetGauges(
        in_flight=found.permits,
        queues=[QueueGauge(one.queue, one.waiting, one.oldest_ms / 1000, one.paused) for one in found.queues],
        heartbeats=[(one.beat.worker_id, one.beat_at / 1000) for one in found.workers],
        spending=[SpendGauge(one.names, one.model, to_usd(one.micro)) for one in spent],
    )
