"""What FAL charged for: booked on the image, its job, its owner's account and the day's table in one step.

All money is in micro-dollars. The costs of an image add up over its attempts and retries, and are never taken
back. Each request is booked once, whichever process books it and however often.
"""

import secrets
from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.catalogue.bills import NotedBill
from image2model.domain import FalRequest
from image2model.fal.endpoints import Endpoint, Params
from image2model.fal.prices import Bill, bill, plausible_units, table_bill
from image2model.generation.loading import Task
from image2model.money import to_micro, to_usd
from image2model.queue.retry import retry_until_stored
from image2model.store.scripts import Script
from image2model.telemetry import metrics

if TYPE_CHECKING:  # it opens all of FAL's gateway, which the API does not need
    from image2model.generation.context import GenerationContext

_log: Final = structlog.get_logger(__name__)

_BOOK: Final = Script("generation/book_cost")
_RELEASE: Final = Script("generation/release_holds")
_PAGE: Final = 500
_FIRST_PRICES_S: Final = 4.0
_IMPLAUSIBLE_USD: Final = 1_000.0


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """One request to FAL and what it cost.

    `owner` and `model` None: those of the hold for `attempt`, or of the image. `attempt` is the token of the
    attempt that made the request; empty if it is the image's present one. `micro` None: what was reserved
    for the attempt. `nonce` identifies the caller, so that a repeated call is recognised as its own.
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

    NO_OWNER = -1
    ALREADY_BOOKED = 0
    BOOKED = 1


class Booked(msgspec.Struct, frozen=True, array_like=True):
    """`micro`: what the request cost, whichever process booked it; `overrun`: its part beyond the budget."""

    outcome: Outcome
    micro: int
    overrun: int
    model: str


_booked = msgspec.msgpack.Decoder(Booked)


async def book_result(
    context: "GenerationContext",
    task: Task,
    request: FalRequest,
    units: float | None,
    *,
    attempt_token: str = "",
) -> None:
    """Book a result. `units` are FAL's billable units, None if it gave none.

    Here and below `attempt_token` names the attempt if the image has begun another one since.
    """
    await _book(context, task, request.request_id, attempt_token, plausible_units(units), generated=True)


async def book_refusal(
    context: "GenerationContext",
    task: Task,
    request: FalRequest,
    units: float | None,
    *,
    ran: bool,
    attempt_token: str = "",
) -> None:
    """Book a refusal (422) as the result of a request; `ran`: the request had been IN_PROGRESS.

    If FAL gives billable units, these count, 0 included. Otherwise the refusal may be billed if a runner had
    worked on it, and is free if none had.
    """
    if plausible_units(units) is not None or ran:
        await _book(context, task, request.request_id, attempt_token, plausible_units(units))


async def book_lost(
    context: "GenerationContext", task: Task, request: FalRequest, *, attempt_token: str = ""
) -> None:
    """Book a request whose end will never be known: it may have been billed."""
    await _book(context, task, request.request_id, attempt_token, None)


async def book_refused_post(
    context: "GenerationContext", task: Task, attempt_token: str, units: float | None
) -> None:
    """Book a refused POST, which is free unless FAL gives billable units."""
    if plausible_units(units):
        await _book(context, task, f"post-{attempt_token}", attempt_token, plausible_units(units))


async def _book(
    context: "GenerationContext",
    task: Task,
    request_id: str,
    attempt_token: str,
    units: float | None,
    *,
    generated: bool = False,
) -> None:
    """Book a request; without `generated` the table's price is uncertain, and 0 units are free.

    A price that nobody knows is booked as what was set aside for it.
    """
    charge, compared, unknown = Bill(0), None, False
    if units != 0 or generated:
        endpoint = await _priced(context, task.model, wait=units is not None)
        price = None if endpoint.unit_price is None else endpoint.unit_price.unit_price
        if units is None or (price is None and not generated):
            charge = table_bill(endpoint, task.params, uncertain=not generated)
        else:
            charge = bill(endpoint, task.params, units, price)
            compared = _compared(endpoint, task.params, units, price)
        unknown = charge.uncertain and endpoint.price(task.params) is None
    booking = Booking(
        image_id=task.image_id,
        owner=task.owner,
        model=task.model,
        request_id=request_id,
        micro=None if unknown else charge.micro,
        uncertain=charge.uncertain,
        nonce=new_nonce(),
        attempt=attempt_token,
    )
    booked = await retry_until_stored(lambda: book(context.redis, booking))
    if charge.mismatch and booked.outcome is Outcome.BOOKED:
        metrics.COST_MISMATCH.labels(task.model).inc()
        _log.error(
            "cost_mismatch", image_id=task.image_id, fal_request_id=request_id, booked_micro=charge.micro
        )
    if generated and booked.outcome is Outcome.BOOKED:
        context.bills.add(NotedBill(task.model, booked.micro, compared or False))


async def _priced(context: "GenerationContext", model: str, *, wait: bool) -> Endpoint:
    """The endpoint with FAL's price; `wait`: until FAL was asked once, right after the first start."""
    if wait:
        await context.catalogue.settled(_FIRST_PRICES_S)
    return await context.catalogue.find_bought(model)


def _compared(
    endpoint: Endpoint, params: Params, units: float | None, price: float | None
) -> tuple[int, int] | None:
    """What FAL billed by its own numbers, and what we quoted; None where either is not known."""
    quoted = endpoint.price(params)
    if not quoted or units is None or price is None or units * price > _IMPLAUSIBLE_USD:
        return None
    return to_micro(units * price), quoted


async def book(redis: Redis, booking: Booking) -> Booked:
    """Book it once; count and log it if this caller booked it. Raises StoreOutage."""
    booked = await record_booking(redis, booking)
    if booked.outcome is Outcome.BOOKED:
        _count(booking, booked)
    return booked


def _count(booking: Booking, booked: Booked) -> None:
    usd = to_usd(booked.micro)
    metrics.FAL_COST.labels(booked.model).inc(usd)
    _log.debug(  # the image's document, the account and the day's table have it
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


async def record_booking(redis: Redis, booking: Booking) -> Booked:
    """Book it once, whatever the image's status and whichever worker holds it. Raises StoreOutage."""
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


def new_nonce() -> str:
    """Identifies one booking and its repetitions by one caller."""
    return secrets.token_hex(6)


async def release_holds(redis: Redis) -> int:
    """Release the holds of attempts that FAL has not billed within a day; returns how many."""
    released, found = 0, _PAGE
    while found == _PAGE:
        found = int(await _RELEASE.packed(redis, _PAGE))
        released += found
    return released


def initialise_counters(models: Iterable[str]) -> None:
    """At a worker's start: Prometheus sees no increase in a counter that appears with its first event."""
    for model in models:
        metrics.COST_MISMATCH.labels(model)
