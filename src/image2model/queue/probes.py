"""A worker's part of the circuit breakers: it reports faults, checks endpoints before it works, and probes.

While the account's or FAL's circuit is open nothing is sent. While an endpoint's is open its images wait and
all others go on. The state is in the store (`circuits`).
"""

from typing import Final

import structlog

from image2model.domain import ImageStatus, WaitingFor
from image2model.errors import FalAccountFault, FalEndpointFault, FalError
from image2model.queue import circuits, confirmations
from image2model.queue.circuits import Fault
from image2model.queue.context import QueueContext
from image2model.queue.permits import EndpointRefused
from image2model.store.connection import StoreOutage
from image2model.telemetry import metrics

_log = structlog.get_logger(__name__)

_INTERVAL_S: Final = 0.5


async def report(context: QueueContext, failure: FalError) -> bool:
    """Count a fault of the account or of FAL as a whole. Returns whether generations are paused now."""
    reason = WaitingFor.ACCOUNT if isinstance(failure, FalAccountFault) else WaitingFor.FAL
    paused = await circuits.count_fault(context.redis, reason)
    if paused:
        _log.error("generations_paused", waiting_for=reason.value, reason=failure.message)
    return paused


async def report_endpoint(
    context: QueueContext, image_id: str, model: str, fault: Fault, failure: FalError
) -> bool:
    """Count a fault of the image's endpoint. Returns whether its circuit is open now."""
    outcome = await circuits.count_endpoint_fault(
        context.redis,
        image_id,
        fault,
        failure.message,
        status=failure.status,
        fal_type=failure.fal_type,
        pace=context.pace,
    )
    if outcome.open and model not in context.refused_endpoints:
        _log.error("endpoint_circuit_open", model=model, fault=fault.value, reason=failure.message)
        context.refused_endpoints.add(model)
    if outcome.paused:
        _log.error("generations_paused", waiting_for=outcome.paused, reason=failure.message)
    return outcome.open


def fault_of_post(failure: FalError) -> Fault:
    """The endpoint's fault that a failed POST shows."""
    if isinstance(failure, FalEndpointFault):
        return Fault.REFUSED
    return Fault.LOST if failure.status is None else Fault.POST


async def check_endpoint(context: QueueContext, image_id: str, model: str) -> None:
    """Raises EndpointRefused if the image has to wait for its endpoint.

    What this process knows is half a second old, so the store decides.
    """
    if model not in context.refused_endpoints:
        return
    if await circuits.is_endpoint_blocked(context.redis, model, image_id):
        raise EndpointRefused


async def probe_forever(context: QueueContext) -> None:
    """While a circuit is open: let images probe their endpoints, and probe FAL itself for free.

    Also ends what nobody has confirmed in time. The process whose turn it is does it for the fleet, while
    there is anything to do; those that work or know of an open circuit read the state of endpoints too.
    """
    while True:
        await context.activity.pause(_INTERVAL_S)
        try:
            has_turn = context.activity.has_turn
            if has_turn or context.refused_endpoints or context.running:
                await _maintain_endpoints(context)
            if not has_turn:
                continue
            await confirmations.expire(context.redis)
            if await circuits.claim_probe(context.redis):
                await _probe(context)
        except StoreOutage as error:
            _log.warning("probe_failed", error=str(error))


async def _maintain_endpoints(context: QueueContext) -> None:
    patience = context.settings.endpoint_patience
    found = await circuits.maintain_endpoints(context.redis, patience_s=patience, pace=context.pace)
    for image_id, model in found.failed:
        _log.info("image_failed", image_id=image_id, model=model, code="endpoint_unavailable")
        metrics.IMAGES.labels(model, ImageStatus.FAILED.value).inc()
    refused = {model for model, _ in found.open}
    for model in context.refused_endpoints - refused:
        _log.info("endpoint_circuit_closed", model=model)
    context.refused_endpoints = refused


async def _probe(context: QueueContext) -> None:
    health = await context.fal.probe()
    _log.info("fal_probed", ok=health.ok, detail=health.detail)
    # a 403 of the one endpoint that is probed says nothing about the account: an image of another one will
    if health.ok or health.reason == "endpoint":
        await circuits.allow_trial(context.redis)
