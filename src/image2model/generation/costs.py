"""What FAL took: booked on the image, its job, its owner's account and the day's table in one step.

Who calls it: `service.bookings`, which counts what is booked, and the worker's upkeep. All money is in
micro-dollars. Costs of an image add up over its attempts and retries, and are never taken back.
"""

import secrets
from enum import IntEnum
from typing import Final

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.domain import FalRequest
from image2model.fal.endpoints import ENDPOINTS, endpoint_of
from image2model.fal.prices import Bill, bill, plausible_units, table_bill
from image2model.generation.context import GenerationContext
from image2model.generation.steps import Task
from image2model.money import to_usd
from image2model.queue.retry import retry_until_stored
from image2model.store.scripts import Script
from image2model.telemetry import metrics

_BOOK: Final = Script("generation/book_cost")
_RELEASE: Final = Script("generation/release_holds")
_PAGE: Final = 500


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """One request of FAL's and what it took.

    `owner` and `model` None: they are those of the hold for `attempt`, or of the image. `attempt` is the
    token of the attempt that made the request; empty where the image is still at it. `micro` None: what was
    set aside for the attempt. `nonce` is the caller's: by it a repeated call is known as its own.
    """

    image_id: str
    owner: str | None
    model: str | None
    request_id: str
    micro: int | None
    uncertain: bool
    nonce: str
    attempt: str = ""


class Outcome(IntEnum):
    """What became of a booking."""

    NOBODYS = -1
    BEFORE = 0
    BOOKED = 1


class Booked(msgspec.Struct, frozen=True, array_like=True):
    """`micro` is what the request took, whoever booked it; `overrun` is what it exceeded the budget by."""

    outcome: Outcome
    micro: int
    overrun: int
    model: str


_booked = msgspec.msgpack.Decoder(Booked)


async def record_booking(redis: Redis, booking: Booking) -> Booked:
    """Book it once, whatever the image's status and whoever holds it. Raises StoreOutage."""
    return _booked.decode(
        await _BOOK.packed(
            redis,
            booking.image_id,
            booking.owner or False,
            booking.model or False,
            booking.request_id,
            booking.attempt,
            False if booking.micro is None else booking.micro,
            booking.uncertain,
            booking.nonce,
        )
    )


async def release_holds(redis: Redis) -> int:
    """Release what was held for a day for attempts that FAL has not billed; returns how many."""
    released, found = 0, _PAGE
    while found == _PAGE:
        found = int(await _RELEASE.packed(redis, _PAGE))
        released += found
    return released


_log: Final = structlog.stdlib.get_logger(__name__)


def new_nonce() -> str:
    """For one booking and its repetitions by one caller."""
    return secrets.token_hex(6)


async def book(redis: Redis, booking: Booking) -> Booked:
    """Book it, once; count and log it where it was this caller's. Raises StoreOutage."""
    booked = await record_booking(redis, booking)
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


def show_counters() -> None:
    """At a worker's start: Prometheus sees no increase in a counter that begins with its first event."""
    for model in ENDPOINTS:
        metrics.COST_MISMATCH.labels(model)


async def book_result(
    context: GenerationContext,
    task: Task,
    request: FalRequest,
    units: float | None,
    *,
    attempt_token: str = "",
) -> None:
    """FAL has generated: `units` are its billable units, None where it gave none.

    Here and below `attempt_token` names the attempt where the image has begun another one since.
    """
    await _book(context, task, request.request_id, await _bill(context, task, units), attempt_token)


async def book_refusal(
    context: GenerationContext,
    task: Task,
    request: FalRequest,
    units: float | None,
    *,
    ran: bool,
    attempt_token: str = "",
) -> None:
    """A refusal (422) as the result of a request; `ran`: the request had been IN_PROGRESS.

    FAL's word on it counts, 0 included. Where it gives none, such a refusal may be billed if a runner had
    worked on it, and is free if none had.
    """
    if plausible_units(units) is not None or ran:
        refused = await _refused(context, task, units)
        await _book(context, task, request.request_id, refused, attempt_token)


async def book_lost(
    context: GenerationContext, task: Task, request: FalRequest, *, attempt_token: str = ""
) -> None:
    """The end of the request will never be known; it may have been billed."""
    await _book(context, task, request.request_id, _guess(task), attempt_token)


async def book_refused_post(
    context: GenerationContext, task: Task, attempt_token: str, units: float | None
) -> None:
    """The POST itself was refused, which costs nothing unless FAL says that it does."""
    if plausible_units(units):
        refused = await _refused(context, task, units)
        await _book(context, task, f"post-{attempt_token}", refused, attempt_token)


async def _bill(context: GenerationContext, task: Task, units: float | None) -> Bill:
    price = None if plausible_units(units) is None else await context.prices.unit_price(task.model)
    return bill(endpoint_of(task.model), task.params, units, price)  # type: ignore[arg-type]  # normalised


async def _refused(context: GenerationContext, task: Task, units: float | None) -> Bill:
    known = plausible_units(units)
    if known == 0:
        return Bill(0)
    if known is None or await context.prices.unit_price(task.model) is None:
        return _guess(task)
    return await _bill(context, task, known)


def _guess(task: Task) -> Bill:
    return table_bill(endpoint_of(task.model), task.params, uncertain=True)  # type: ignore[arg-type]  # normalised


async def _book(
    context: GenerationContext, task: Task, request_id: str, bill: Bill, attempt_token: str
) -> None:
    booking = Booking(
        image_id=task.image_id,
        owner=task.owner,
        model=task.model,
        request_id=request_id,
        micro=bill.micro,
        uncertain=bill.uncertain,
        nonce=new_nonce(),
        attempt=attempt_token,
    )
    booked = await retry_until_stored(lambda: book(context.redis, booking))
    if bill.mismatch and booked.outcome is Outcome.BOOKED:
        metrics.COST_MISMATCH.labels(task.model).inc()
        _log.error(
            "cost_mismatch", image_id=task.image_id, fal_request_id=request_id, booked_micro=bill.micro
        )
