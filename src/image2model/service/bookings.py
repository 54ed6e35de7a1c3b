"""A booking of what FAL took, with all that has to be told of it: the metrics, and the log.

Who calls it: the worker when a request has ended, and FAL's webhooks for requests that nobody follows.
"""

import secrets
from typing import Final

import structlog
from redis.asyncio import Redis

from image2model.money import to_usd
from image2model.store import costs
from image2model.store.costs import Booked, Booking, Outcome
from image2model.telemetry import metrics

_log: Final = structlog.stdlib.get_logger(__name__)


def new_nonce() -> str:
    """For one booking and its repetitions by one caller."""
    return secrets.token_hex(6)


async def book(redis: Redis, booking: Booking) -> Booked:
    """Book it, once; count and log it where it was this caller's. Raises StoreOutage."""
    booked = await costs.book(redis, booking)
    if booked.outcome is Outcome.BOOKED:
        _tell(booking, booked)
    return booked


def _tell(booking: Booking, booked: Booked) -> None:
    usd = to_usd(booked.micro)
    metrics.FAL_COST.labels(booked.model).inc(usd)
    _log.info(
        "cost_booked",
        image_id=booking.image_id,
        fal_request_id=booking.request_id,
        cost_usd=usd,
        uncertain=booking.uncertain,
    )
    if booked.overrun:
        metrics.BUDGET_OVERRUN.inc(to_usd(booked.overrun))
        _log.error(
            "budget_overrun",
            image_id=booking.image_id,
            owner=booking.owner,
            fal_request_id=booking.request_id,
            overrun_usd=to_usd(booked.overrun),
        )
