"""Cancel, retry, delete, by what a client sees of them."""

import pytest
from redis.asyncio import Redis

from tests.support.served_api import Service, batch
from tests.support.worker_steps import claim, fail, submit


async def test_cancel_ends_what_waits_and_asks_what_runs(service: Service, redis: Redis) -> None:
    job_id = service.upload(batch(3)).text("job_id")
    [at_fal] = await claim(redis)
    await submit(redis, at_fal)
    answer = service.post(f"jobs/{job_id}/cancel")
    assert (answer.status, answer.body["cancel_requested"]) == (202, True)
    assert [image["status"] for image in answer.items("images")] == ["submitted", "cancelled", "cancelled"]


def test_cancel_of_a_finished_job_is_refused(service: Service) -> None:
    job_id = service.upload(batch()).text("job_id")
    assert service.post(f"jobs/{job_id}/cancel").body["status"] == "cancelled"
    answer = service.post(f"jobs/{job_id}/cancel")
    assert (answer.status, answer.code) == (409, "already_finished")


async def test_retry_runs_the_failed_images_again(service: Service, redis: Redis) -> None:
    job_id = service.upload(batch(2)).text("job_id")
    for one in await claim(redis, 2):
        await fail(redis, one)
    assert service.get(f"status/{job_id}").body["status"] == "failed"
    first = service.get(f"status/{job_id}").items("images")[0]["image_id"]
    body = f'{{"image_ids":["{first}"],"params":{{"texture":"HD"}}}}'.encode()
    answer = service.post(f"jobs/{job_id}/retry", body)
    assert answer.status == 202
    seen = [(image["status"], image["attempt"]) for image in answer.items("images")]
    assert seen == [("queued", 2), ("failed", 1)]


def test_retry_without_a_failure_is_refused(service: Service) -> None:
    job_id = service.upload(batch()).text("job_id")
    answer = service.post(f"jobs/{job_id}/retry")
    assert (answer.status, answer.code) == (409, "already_finished")


@pytest.mark.parametrize(
    "body",
    [
        b"nonsense",
        b"[]",
        b'{"images":[]}',
        b'{"image_ids":"x"}',
        b'{"image_ids":[]}',
        b'{"image_ids":["no-such-image"]}',
        b'{"params":[1]}',
        b'{"params":{"colour":"red"}}',
    ],
)
def test_retry_with_a_bad_body_is_refused(service: Service, body: bytes) -> None:
    job_id = service.upload(batch()).text("job_id")
    answer = service.post(f"jobs/{job_id}/retry", body)
    assert (answer.status, answer.code) == (422, "invalid_parameter"), answer.body


async def test_deleted_job_does_not_exist_at_once(service: Service, redis: Redis) -> None:
    job_id = service.upload(batch(2)).text("job_id")
    [at_fal] = await claim(redis)
    await submit(redis, at_fal)
    answer = service.send("DELETE", f"/api/v1/jobs/{job_id}")
    assert (answer.status, answer.content) == (204, b"")
    for path in (f"status/{job_id}", f"download/{job_id}", f"status/stream/{job_id}"):
        assert service.get(path).status == 404
    assert service.send("DELETE", f"/api/v1/jobs/{job_id}").status == 404
