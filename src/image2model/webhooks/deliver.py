"""Makes the calls of clients' webhooks: the tasks `finish_batch` and `deliver_webhook`.

Each planned attempt is a task of its own, due at its time, so that waiting holds no slot. The call comes
before its record: a crash between them repeats the call with the same `webhook-id` (at least once).
No address is trusted: the guard must allow it, redirects are not followed, one deadline bounds the whole
call, and only the status of the response is read. Calls are signed as Standard Webhooks.
"""

import base64
import hashlib
import hmac
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol, Self

import aiohttp
import msgspec
import structlog
from aiohttp.http_exceptions import HttpProcessingError
from redis.asyncio import Redis

from image2model import __version__
from image2model.errors import NotFound
from image2model.generation.context import GenerationContext
from image2model.jobs.lifecycle import erase_if_deleted
from image2model.network.guard import NOT_PUBLIC, GuardedSession, UrlRefused, refused
from image2model.network.public_addresses import is_public
from image2model.network.resolver import Lookup
from image2model.queue.running import RunningTask
from image2model.settings import Settings
from image2model.store import secret
from image2model.store.secret import WEBHOOK_PREFIX
from image2model.telemetry import metrics
from image2model.webhooks import deliveries
from image2model.webhooks.deliveries import Attempt, Delivery, DeliveryState, DueDelivery

_log: Final = structlog.get_logger(__name__)

DEADLINE_S: Final = 10.0
UNEXPECTED: Final = "an unexpected error of this service; its log has it"
_HEADERS: Final = {"Content-Type": "application/json", "User-Agent": f"image2model/{__version__}"}


class DeliveryContext(Protocol):
    """What a delivery needs of the worker."""

    settings: Settings
    redis: Redis
    webhooks: "WebhookSender"


async def finish_batch(context: GenerationContext, running: RunningTask, job_id: str) -> None:
    """A job has ended: announce its webhook, and erase a deleted job with its files.

    Raises StoreOutage, StorageError: the announcement must not be lost.
    """
    started = time.monotonic()
    if (version := _version_of(running)) is not None:
        await deliveries.announce(context.redis, job_id, version)
    await erase_if_deleted(context.redis, context.storage, job_id)
    metrics.TASK_DURATION.labels("process_batch", "succeeded").observe(time.monotonic() - started)


async def announce_as_failed(context: GenerationContext, running: RunningTask, job_id: str) -> None:
    """`finish_batch` has failed for good: open the job's delivery as failed, so that it can be replayed.

    A delivery that is open already stays. The next reconciliation erases the files of a deleted job.
    """
    if (version := _version_of(running)) is not None:
        await deliveries.announce(context.redis, job_id, version, failed=UNEXPECTED)


def _version_of(running: RunningTask) -> int | None:
    """The job's version at its end. A job that was deleted after its end has nothing to announce."""
    version = running.task_id.rpartition(":")[2]
    return int(version) if version.isdigit() else None


async def deliver_webhook(context: DeliveryContext, _running: RunningTask, argument: str) -> None:
    """Make the attempt that the task stands for, if it is still due. Raises StoreOutage."""
    try:
        due = await deliveries.due(context.redis, argument)
        if due is not None:
            await _deliver(context, due)
    except NotFound:
        _log.info("webhook_job_gone", task=argument)


async def _deliver(context: DeliveryContext, due: DueDelivery) -> None:
    delivery = due.delivery
    body = await deliveries.body_of(context.redis, delivery)
    key = await secret.webhook(context.redis, context.settings.webhook_secret)
    at = time.time()
    headers = signed_headers(key, delivery.delivery_id, int(at), body)
    outcome = await context.webhooks.post(due.url, headers, body)
    attempt = Attempt(
        at=int(at * 1000), duration_ms=outcome.duration_ms, status=outcome.status, error=outcome.error
    )
    recorded = await deliveries.record_attempt(context.redis, delivery, attempt)
    metrics.WEBHOOK_CALLS.labels(_counted_as(recorded, attempt)).inc()
    _log.info(
        "webhook_called",
        delivery_id=delivery.delivery_id,
        job_id=delivery.job_id,
        status=outcome.status,
        error=outcome.error,
        state=recorded.state.value,
    )


def _counted_as(recorded: Delivery, attempt: Attempt) -> str:
    """`given_up` is the last of the failures in a row: a person has to replay the delivery."""
    if attempt.error is None:
        return "delivered"
    return "given_up" if recorded.state is DeliveryState.FAILED else "failed"


async def end_as_failed(context: DeliveryContext, _running: RunningTask, argument: str) -> None:
    """`deliver_webhook` has failed for good, by no fault of the receiver. The delivery can be replayed."""
    try:
        due = await deliveries.due(context.redis, argument)
        if due is not None:
            attempt = Attempt(at=int(time.time() * 1000), duration_ms=0, status=None, error=UNEXPECTED)
            await deliveries.record_attempt(context.redis, due.delivery, attempt, give_up=True)
    except NotFound:
        _log.info("webhook_job_gone", task=argument)


def signed_headers(secret: str, message_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """The three headers of one attempt. `secret` is `whsec_` and base64, `at_s` seconds since the epoch.

    Source: Standard Webhooks, "Signature scheme".
    """
    key = base64.b64decode(secret.removeprefix(WEBHOOK_PREFIX) + "==")
    signed = f"{message_id}.{at_s}.".encode() + body
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{signature}",
    }


class Outcome(msgspec.Struct, frozen=True):
    """The outcome of a call. `error` is None if the receiver accepted it with any 2xx."""

    status: int | None
    error: str | None
    duration_ms: int


class WebhookSender:
    """One for each worker process. `lookup` and `allows` replace DNS and the rule of what is public."""

    def __init__(
        self,
        *,
        allow_private: bool,
        lookup: Lookup | None = None,
        allows: Callable[[str], bool] = is_public,
        tls: ssl.SSLContext | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._session = GuardedSession(
            allow_private=allow_private, lookup=lookup, allows=allows, tls=tls, headers=_HEADERS
        )
        self._timeout = aiohttp.ClientTimeout(total=deadline_s)

    async def __aenter__(self) -> Self:
        await self._session.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.__aexit__()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Make one call. Any failure is in the outcome."""
        started = time.monotonic()
        status, error = None, None
        try:
            async with self._session.request(
                "POST", url, headers=headers, data=body, timeout=self._timeout
            ) as response:
                status = response.status
            error = _failure_text(status)
        except UrlRefused as unfit:
            error = f"`webhook_url` {unfit}"
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as failure:
            error = _reason(failure)
        return Outcome(status, error, int((time.monotonic() - started) * 1000))


def _failure_text(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"answered {status}; redirects are not followed"
    return f"answered {status}"


def _reason(failure: Exception) -> str:
    if refused(failure):
        return NOT_PUBLIC
    cause = failure.os_error if isinstance(failure, aiohttp.ClientConnectorError) else failure
    if isinstance(failure, TimeoutError) or isinstance(cause, TimeoutError):
        return "no answer in time"
    if isinstance(failure, aiohttp.ClientConnectorDNSError):
        return "the host's name does not resolve"
    if isinstance(failure, (aiohttp.ClientSSLError, ssl.SSLError)):
        return f"TLS failed: {str(failure)[:200]}"
    if isinstance(failure, aiohttp.ClientConnectorError):
        return "no connection"
    return f"the call broke off: {type(failure).__name__}"
