"""What FAL took for an image, booked as soon as it is known, and before anything else can go wrong.

Who calls it: `collect` once it has a result, `generate` for every other end of a request. Each function
returns once the store has it. A request is booked once, whoever calls and however often; what FAL did not
bill (a 5xx, time in its queue, a cancel that it obeyed) is never booked.
"""

from typing import Final

import structlog

from image2model.domain import FalRequest
from image2model.fal.billing import Bill, bill, by_table, sensible
from image2model.fal.endpoints import ENDPOINTS, endpoint_of
from image2model.service import bookings
from image2model.store.costs import Booking, Outcome
from image2model.store.images import Task
from image2model.telemetry import metrics
from image2model.worker.generation_context import GenerationContext
from image2model.worker.told import told

_log: Final = structlog.get_logger("worker.costs")


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
    if sensible(units) is not None or ran:
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
    if sensible(units):
        refused = await _refused(context, task, units)
        await _book(context, task, f"post-{attempt_token}", refused, attempt_token)


async def _bill(context: GenerationContext, task: Task, units: float | None) -> Bill:
    price = None if sensible(units) is None else await context.prices.unit_price(task.model)
    return bill(endpoint_of(task.model), task.params, units, price)  # type: ignore[arg-type]  # normalised


async def _refused(context: GenerationContext, task: Task, units: float | None) -> Bill:
    known = sensible(units)
    if known == 0:
        return Bill(0)
    if known is None or await context.prices.unit_price(task.model) is None:
        return _guess(task)
    return await _bill(context, task, known)


def _guess(task: Task) -> Bill:
    return by_table(endpoint_of(task.model), task.params, uncertain=True)  # type: ignore[arg-type]  # normalised


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
        nonce=bookings.new_nonce(),
        attempt=attempt_token,
    )
    booked = await told(lambda: bookings.book(context.redis, booking))
    if bill.mismatch and booked.outcome is Outcome.BOOKED:
        metrics.COST_MISMATCH.labels(task.model).inc()
        _log.error(
            "cost_mismatch", image_id=task.image_id, fal_request_id=request_id, booked_micro=bill.micro
        )
