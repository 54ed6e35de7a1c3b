"""`/jobs/{job_id}/webhooks`: the delivery log and the replay."""

import asyncio
from collections.abc import Callable

from msgspec.structs import replace
from redis.asyncio import Redis

from image2model.store import job_reads
from image2model.store.arq_keys import queue_key
from image2model.store.keys import Queue
from image2model.webhooks import deliveries
from image2model.webhooks.deliveries import Attempt, Delivery
from tests.support.served_api import Service, batch
from tests.support.worker_steps import claim, fail

URL = "https://hooks.example.com/done?token=secret"
GONE = Attempt(at=1_700_000_000_000, duration_ms=12, status=410, error="answered 410")


async def finished_job(service: Service, redis: Redis) -> tuple[str, Delivery]:
    """A job whose delivery has failed for good."""
    job_id = service.upload(batch(webhook_url=URL)).text("job_id")
    (held,) = await claim(redis)
    await fail(redis, held)
    version = await job_reads.job_version(redis, job_id)
    assert await deliveries.announce(redis, job_id, version or 0)
    (delivery,) = await deliveries.of_job(redis, job_id)
    await deliveries.record_attempt(redis, delivery, GONE)
    return job_id, delivery


async def test_log_shows_each_attempt_and_no_secret(service: Service, redis: Redis) -> None:
    job_id, delivery = await finished_job(service, redis)
    (shown,) = service.get(f"jobs/{job_id}/webhooks").items("deliveries")
    assert shown.pop("created_at")
    assert shown == {
        "delivery_id": delivery.delivery_id,
        "event": "job.finished",
        "url": "https://hooks.example.com/done?…",
        "state": "failed",
        "attempts": [
            {"at": "2023-11-14T22:13:20.000Z", "status": 410, "duration_ms": 12, "error": "answered 410"}
        ],
        "next_at": None,
    }


async def test_job_without_webhook_has_an_empty_log(service: Service) -> None:
    job_id = service.upload(batch()).text("job_id")
    assert service.get(f"jobs/{job_id}/webhooks").body == {"deliveries": []}


async def test_end_is_announced_once_however_often_it_is_asked(service: Service, redis: Redis) -> None:
    job_id, delivery = await finished_job(service, redis)
    assert not await deliveries.announce(redis, job_id, delivery.version)
    assert len(await deliveries.of_job(redis, job_id)) == 1


async def test_replay_plans_an_attempt_now(service: Service, redis: Redis) -> None:
    job_id, delivery = await finished_job(service, redis)
    answer = service.post(f"jobs/{job_id}/webhooks/{delivery.delivery_id}/replay")
    assert answer.status == 202
    assert answer.body["state"] == "pending"
    assert answer.body["next_at"]
    assert len(answer.items("attempts")) == 1
    planned = await redis.zrange(queue_key(Queue.BATCH), 0, -1)
    assert f"webhook:{delivery.delivery_id}:2".encode() in planned


async def test_changes_at_one_moment_are_all_kept(service: Service, redis: Redis) -> None:
    job_id, delivery = await finished_job(service, redis)
    late = replace(delivery, turn=0)
    noted = [deliveries.record_attempt(redis, late, GONE) for _ in range(10)]
    await asyncio.gather(*noted)
    (found,) = await deliveries.of_job(redis, job_id)
    assert len(found.attempts) == 11


async def test_replay_of_what_is_not_there_is_not_found(service: Service, redis: Redis) -> None:
    job_id, delivery = await finished_job(service, redis)
    other = service.upload(batch(webhook_url=URL)).text("job_id")
    for path in (
        f"jobs/{job_id}/webhooks/{job_id}-999/replay",
        f"jobs/{other}/webhooks/{delivery.delivery_id}/replay",
        f"jobs/{'0' * 32}/webhooks/{delivery.delivery_id}/replay",
        f"jobs/{job_id}/webhooks/x/replay",
    ):
        assert service.post(path).code == "not_found"


async def test_deleted_jobs_log_is_gone(service: Service, redis: Redis) -> None:
    job_id, delivery = await finished_job(service, redis)
    service.send("DELETE", f"/api/v1/jobs/{job_id}")
    assert service.get(f"jobs/{job_id}/webhooks").code == "not_found"
    assert service.post(f"jobs/{job_id}/webhooks/{delivery.delivery_id}/replay").code == "not_found"
    assert not await deliveries.announce(redis, job_id, delivery.version + 1)


async def test_private_webhook_is_refused_unless_allowed(make_service: Callable[..., Service]) -> None:
    strict, lax = make_service(), make_service(webhook_allow_private="1")
    url = "http://127.0.0.1:9/hook"
    assert strict.upload(batch(webhook_url=url)).code == "invalid_parameter"
    assert lax.upload(batch(webhook_url=url)).status == 202
