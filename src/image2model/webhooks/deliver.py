"""One attempt to call a job's webhook: the task `deliver_webhook`.

Who calls it: ARQ, from the queue `batch_processing`; each planned attempt is a task of its own, due at its
time, so that waiting holds no slot. The call comes before its record: a crash between them calls again
with the same `webhook-id` (at least once).
"""

import time
from typing import Final, Protocol

import structlog
from redis.asyncio import Redis

from image2model.errors import NotFound
from image2model.generation.context import GenerationContext
from image2model.jobs.lifecycle import erase_if_deleted
from image2model.queue.running import RunningTask
from image2model.settings import Settings
from image2model.store import secret
from image2model.telemetry import metrics
from image2model.webhooks import deliveries, outgoing
from image2model.webhooks.deliveries import Attempt, Delivery
from image2model.webhooks.outgoing import after_attempt, failed_by_us
from image2model.webhooks.send import WebhookSender, signed_headers

_log = structlog.get_logger("worker.deliver")

UNEXPECTED: Final = "an unexpected error of this service; its log has it"


class DeliveryContext(Protocol):
    """What a delivery needs of the worker."""

    settings: Settings
    redis: Redis
    webhooks: WebhookSender


async def deliver_webhook(context: DeliveryContext, _running: RunningTask, argument: str) -> None:
    """Make the attempt that the task stands for, if it still has to be. Raises StoreOutage."""
    try:
        delivery = await deliveries.due(context.redis, argument)
        url = await deliveries.target(context.redis, delivery.job_id) if delivery else None
        if delivery is not None and url is not None:
            await _deliver(context, delivery, url)
    except NotFound:
        _log.info("webhook_job_gone", task=argument)


async def end_as_failed(context: DeliveryContext, _running: RunningTask, argument: str) -> None:
    """The delivery has failed, by no fault of the receiver; it can be replayed."""
    try:
        if (delivery := await deliveries.due(context.redis, argument)) is not None:
            attempt = Attempt(at=int(time.time() * 1000), duration_ms=0, status=None, error=UNEXPECTED)
            await deliveries.change(
                context.redis, delivery.delivery_id, lambda one: failed_by_us(one, delivery.turn, attempt)
            )
    except NotFound:
        _log.info("webhook_job_gone", task=argument)


async def _deliver(context: DeliveryContext, delivery: Delivery, url: str) -> None:
    body = await outgoing.payload(context.redis, delivery)
    key = await secret.webhook(context.redis, context.settings.webhook_secret)
    at = time.time()
    headers = signed_headers(key, delivery.delivery_id, int(at), body)
    outcome = await context.webhooks.post(url, headers, body)
    attempt = Attempt(
        at=int(at * 1000), duration_ms=outcome.duration_ms, status=outcome.status, error=outcome.error
    )
    noted = await deliveries.change(
        context.redis, delivery.delivery_id, lambda one: after_attempt(one, delivery.turn, attempt)
    )
    _log.info(
        "webhook_called",
        delivery_id=delivery.delivery_id,
        job_id=delivery.job_id,
        status=outcome.status,
        error=outcome.error,
        state=noted.state.value,
    )


async def finish_batch(context: GenerationContext, running: RunningTask, job_id: str) -> None:
    """The last image of a job has ended: its webhook is announced; a deleted job is erased, files and all.

    Raises StoreOutage, StorageError: the announcement must not be lost.
    """
    started = time.monotonic()
    if (version := _version_of(running)) is not None:
        await outgoing.announce(context.redis, job_id, version)
    await erase_if_deleted(context.redis, context.storage, job_id)
    metrics.TASK_DURATION.labels("process_batch", "succeeded").observe(time.monotonic() - started)


async def announce_as_failed(context: GenerationContext, running: RunningTask, job_id: str) -> None:
    """The webhook of a job whose batch could not be finished: failed, to be replayed, unless it is open.

    A deleted job's files are erased by the next reconciliation.
    """
    if (version := _version_of(running)) is not None:
        await outgoing.announce(context.redis, job_id, version, failed=UNEXPECTED)


def _version_of(running: RunningTask) -> int | None:
    """The job's version at its end; a job that is deleted after its end has nothing to announce."""
    version = running.task_id.rpartition(":")[2]
    return int(version) if version.isdigit() else None
