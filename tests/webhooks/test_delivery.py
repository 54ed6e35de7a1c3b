"""A job's webhook from its end to the receiver, through real workers that may die on the way."""

import asyncio
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from standardwebhooks.webhooks import Webhook

from image2model.http.documents import job_document
from image2model.jobs import records
from image2model.store import job_reads, secret
from image2model.store.arq_keys import queue_key
from image2model.store.keys import Queue
from image2model.webhooks import deliveries
from image2model.webhooks.deliveries import Delivery, DeliveryState, Payload
from tests.support.fleet import Fleet
from tests.support.ports import free_port
from tests.support.raw_server import Exchange, never
from tests.support.scraped import by_label
from tests.support.webhook_receiver import Receiver, answering, certificate, receiving

PRIVATE = {"I2M_WEBHOOK_ALLOW_PRIVATE": "1"}


async def until(condition: Callable[[], bool], timeout: float = 20) -> None:
    """Wait for it."""
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.02)


async def delivery_in(fleet: Fleet, job_id: str, *states: DeliveryState, count: int = 1) -> Delivery:
    """The newest delivery of the job, once there are `count` and it is in one of the states."""
    async with asyncio.timeout(20):
        while True:
            found = await deliveries.of_job(fleet.redis, job_id)
            if len(found) == count and found[0].state in states:
                return found[0]
            await asyncio.sleep(0.02)


async def verified(fleet: Fleet, exchange: Exchange) -> Payload:
    """The payload of a request whose signature the reference library has checked."""
    key = await secret.webhook(fleet.redis, None)
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    Webhook(key).verify(exchange.body, {name: exchange.header(name) or "" for name in names})
    return msgspec.json.decode(exchange.body, type=Payload)


def ids(receiver: Receiver) -> list[str | None]:
    return [request.header("webhook-id") for request in receiver.requests]


async def test_end_of_a_job_is_told_once_signed_and_whole(fleet: Fleet, tmp_path: Path) -> None:
    cert = certificate(tmp_path, "localhost")
    async with receiving(answering("204 No Content"), cert=cert) as receiver:
        fleet.start_worker(**PRIVATE, SSL_CERT_FILE=str(cert))
        url = f"https://localhost:{receiver.port}/hook?token=abc"
        job_id = await fleet.submit(3, webhook_url=url, metadata={"order": 1001})
        delivery = await delivery_in(fleet, job_id, DeliveryState.DELIVERED)
        await until_idle(fleet)
    (request,) = receiver.requests
    assert request.request_line == "POST /hook?token=abc HTTP/1.1"
    payload = await verified(fleet, request)
    assert payload.type == "job.finished"
    assert payload.data == job_document(await job_reads.read_job(fleet.redis, job_id))
    assert payload.data.status == "succeeded"
    assert [payload.data.metadata, *(one.metadata for one in payload.data.images)] == [{"order": 1001}] * 4
    assert payload.timestamp == payload.data.finished_at
    assert ids(receiver) == [delivery.delivery_id]
    (attempt,) = delivery.attempts
    assert (attempt.status, attempt.error) == (204, None)
    assert "abc" not in delivery.url


@pytest.mark.long
async def test_worker_killed_between_attempts_the_next_one_delivers(fleet: Fleet) -> None:
    async with receiving(answering("503 No", "200 OK")) as receiver:
        first = fleet.start_worker(**PRIVATE)
        job_id = await fleet.submit(webhook_url=receiver.url)
        await until(lambda: len(receiver.requests) == 1)
        await until_attempts(fleet, job_id, 1)
        first.send(signal.SIGKILL)
        await first.exit_code()
        fleet.start_worker(**PRIVATE)
        delivery = await delivery_in(fleet, job_id, DeliveryState.DELIVERED)
    assert [attempt.status for attempt in delivery.attempts] == [503, 200]
    assert delivery.attempts[0].error == "answered 503"
    assert delivery.attempts[1].at - delivery.attempts[0].at >= 4000
    assert len(receiver.requests) == 2
    assert set(ids(receiver)) == {delivery.delivery_id}
    assert receiver.requests[0].body == receiver.requests[1].body
    await verified(fleet, receiver.requests[1])


@pytest.mark.long
async def test_worker_killed_within_an_attempt_it_is_made_again_under_the_same_id(fleet: Fleet) -> None:
    async with receiving(never) as silent:
        first = fleet.start_worker(**PRIVATE)
        job_id = await fleet.submit(webhook_url=silent.url)
        await until(lambda: len(silent.requests) == 1)
        first.send(signal.SIGKILL)
        await first.exit_code()
        fleet.start_worker(**PRIVATE)
        await until(lambda: len(silent.requests) == 2)
        (delivery,) = await deliveries.of_job(fleet.redis, job_id)
    assert set(ids(silent)) == {delivery.delivery_id}
    assert delivery.attempts == ()


@pytest.mark.long
@pytest.mark.also_on_cluster
async def test_job_that_ends_again_is_told_again(fleet: Fleet) -> None:
    fleet.emulator.fault("422", count=1)
    async with receiving(answering("200 OK")) as receiver:
        fleet.start_worker(**PRIVATE)
        job_id = await fleet.submit(webhook_url=receiver.url)
        await delivery_in(fleet, job_id, DeliveryState.DELIVERED)
        await records.retry(fleet.redis, job_id, None, None, low_priority=False)
        await delivery_in(fleet, job_id, DeliveryState.DELIVERED, count=2)
    told = [(await verified(fleet, request)).data.status for request in receiver.requests]
    assert told == ["failed", "succeeded"]
    assert len(set(ids(receiver))) == 2


@pytest.mark.long
async def test_receiver_that_is_gone_is_called_once(fleet: Fleet) -> None:
    async with receiving(answering("410 Gone")) as receiver:
        fleet.start_worker(**PRIVATE)
        job_id = await fleet.submit(webhook_url=receiver.url)
        delivery = await delivery_in(fleet, job_id, DeliveryState.FAILED)
        await until_idle(fleet)
    assert delivery.next_at is None
    assert len(receiver.requests) == 1


@pytest.mark.long
async def test_calls_are_counted_by_how_they_ended(fleet: Fleet) -> None:
    port = free_port("127.0.0.1")
    fleet.start_worker(**PRIVATE, I2M_WORKER_METRICS_PORT=str(port))
    async with receiving(answering("200 OK", "410 Gone", "503 No")) as receiver:
        for state in (DeliveryState.DELIVERED, DeliveryState.FAILED):
            await delivery_in(fleet, await fleet.submit(webhook_url=receiver.url), state)
        await fleet.submit(webhook_url=receiver.url)
        await until(lambda: set(calls_by_outcome(port)) == {"delivered", "given_up", "failed"})
    assert set(calls_by_outcome(port).values()) == {1}


def calls_by_outcome(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        return by_label(answer.read().decode(), "image2model_webhook_calls_total", "outcome")


@pytest.mark.long
async def test_deleted_job_is_told_no_more(fleet: Fleet) -> None:
    async with receiving(answering("500 No")) as receiver:
        fleet.start_worker(**PRIVATE)
        job_id = await fleet.submit(webhook_url=receiver.url)
        await until_attempts(fleet, job_id, 1)
        await records.cancel(fleet.redis, job_id, delete=True)
        await until_idle(fleet)  # the planned attempt came up, and found nothing to do
    assert len(receiver.requests) == 1
    assert await deliveries.of_job(fleet.redis, job_id) == ()


async def test_private_receiver_is_refused_by_the_worker(fleet: Fleet) -> None:
    async with receiving(answering("200 OK")) as receiver:
        fleet.start_worker()
        job_id = await fleet.submit(webhook_url=f"https://127.0.0.1:{receiver.port}/")
        await until_attempts(fleet, job_id, 1)
    (delivery,) = await deliveries.of_job(fleet.redis, job_id)
    assert delivery.attempts[0].error == "`webhook_url` must be a public internet address."
    assert receiver.requests == []


@pytest.mark.long
async def test_slow_receivers_do_not_hold_up_the_next_batch(fleet: Fleet) -> None:
    async with receiving(never) as silent, receiving(answering("200 OK")) as quick:
        fleet.start_worker(**PRIVATE)
        for _ in range(8):
            await fleet.submit(webhook_url=silent.url)
        await until(lambda: len(silent.requests) == 8)
        job_id = await fleet.submit(webhook_url=quick.url)
        delivery = await delivery_in(fleet, job_id, DeliveryState.DELIVERED)
        finished = (await fleet.job(job_id)).job.finished_at
    assert delivery.attempts[0].at - (finished or 0) < 2000


@pytest.mark.long
async def test_job_without_webhook_calls_nobody(fleet: Fleet) -> None:
    fleet.start_worker(**PRIVATE)
    job_id = await fleet.submit(2)
    await fleet.until_finished(job_id)
    await until_idle(fleet)
    assert await deliveries.of_job(fleet.redis, job_id) == ()


async def until_attempts(fleet: Fleet, job_id: str, count: int) -> None:
    """Wait until so many attempts are noted."""
    async with asyncio.timeout(20):
        while sum(len(one.attempts) for one in await deliveries.of_job(fleet.redis, job_id)) < count:
            await asyncio.sleep(0.02)


async def until_idle(fleet: Fleet) -> None:
    """Wait until nothing is planned for the jobs that have ended."""
    async with asyncio.timeout(20):
        while await fleet.redis.zcard(queue_key(Queue.BATCH)):
            await asyncio.sleep(0.02)
