"""`Prefer: wait=N`: the answer comes with the end of the job, after N seconds, or once waiting is in vain.

The tests move the images themselves, so they decide when a job ends.
"""

import asyncio
from collections.abc import Coroutine
from time import perf_counter
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from image2model.jobs import records
from image2model.store import job_reads
from tests.support import batches
from tests.support.jobs import fail, finish, pick, run, submit
from tests.support.multipart_body import CONTENT_TYPE
from tests.support.served_api import MakeService, Service, batch
from tests.support.wait import until
from tests.support.waiting import APPLIED, LONG, begun, client, until_waiting, upload


async def test_answer_comes_with_the_end_and_shows_it(service: Service, redis: Redis) -> None:
    async with client(service.address) as one, begun(one, upload(one, 2)) as request:
        await run(redis)
    answer = request.result()
    assert answer.status_code == 202
    assert answer.headers[APPLIED] == "wait=50"
    document = answer.json()
    assert answer.headers["location"] == document["links"]["self"]
    assert document["status"] == "succeeded"
    assert [image["status"] for image in document["images"]] == ["succeeded"] * 2
    assert document == service.get(document["links"]["self"]).body


async def test_a_failed_job_has_ended_too(service: Service, redis: Redis) -> None:
    async with client(service.address) as one, begun(one, upload(one)) as request:
        (claim,) = await pick(redis)
        await submit(redis, claim)
        await fail(redis, claim)
    assert request.result().json()["status"] == "failed"


async def test_after_the_seconds_the_job_is_shown_as_it_is(service: Service, redis: Redis) -> None:
    async def picked() -> bool:
        return bool(await pick(redis))

    async with client(service.address) as one:
        began = perf_counter()
        answer, _ = await asyncio.gather(upload(one, headers={"Prefer": "wait=2"}), until(picked))
        taken = perf_counter() - began
    assert answer.headers[APPLIED] == "wait=2"
    assert (answer.json()["status"], answer.json()["images"][0]["status"]) == ("running", "preparing")
    assert taken >= 2


@pytest.mark.parametrize("value", ["", "wait=-1", "wait=soon", "respond-async"])
async def test_without_a_valid_preference_the_answer_comes_at_once(service: Service, value: str) -> None:
    async with client(service.address) as one:
        answer = await upload(one, headers={"Prefer": value})
    assert answer.json()["status"] == "queued"
    assert APPLIED not in answer.headers


async def test_no_seconds_are_no_wait(service: Service) -> None:
    async with client(service.address) as one:
        answer = await upload(one, headers={"Prefer": "wait=0"})
    assert answer.json()["status"] == "queued"
    assert answer.headers[APPLIED] == "wait=0"


async def test_a_comparison_waits_for_all_its_jobs(service: Service, redis: Redis) -> None:
    body = batch(1, model="tripo3d/tripo/v2.5/image-to-3d").text("model", "fal-ai/trellis")
    async with client(service.address) as one:
        request = one.post(
            "upload/batch", content=bytes(body), headers={"Content-Type": CONTENT_TYPE, **LONG}
        )
        async with begun(one, request) as task:
            first, second = await pick(redis)
            await submit(redis, first)
            await finish(redis, first)
            await submit(redis, second)
            listed = (await one.get("jobs")).json()["jobs"]
            assert sorted(job["status"] for job in listed) == ["running", "succeeded"]
            assert not task.done()
            await finish(redis, second)
    answer = task.result().json()
    assert [job["status"] for job in answer["jobs"]] == ["succeeded"] * 2


async def test_a_replay_waits_too_and_shows_the_end(service: Service, redis: Redis) -> None:
    keyed = {"Idempotency-Key": "order-1"}
    async with client(service.address) as one:
        first = await upload(one, headers=keyed)
        async with begun(one, upload(one, headers={**keyed, **LONG})) as request:
            await run(redis)
        again = request.result()
        ended = await upload(one, headers={**keyed, **LONG})
        unhurried = await upload(one, headers=keyed)
    assert again.headers["idempotent-replayed"] == ended.headers["idempotent-replayed"] == "true"
    assert again.json()["job_id"] == first.json()["job_id"]
    assert again.json()["status"] == ended.json()["status"] == "succeeded"
    assert unhurried.json() == first.json()  # without the preference it is the first answer itself


async def test_the_key_is_bound_while_the_first_request_waits(service: Service, redis: Redis) -> None:
    """A second request of the same key is not refused as `idempotency_in_progress` for the whole wait."""
    keyed = {"Idempotency-Key": "order-2"}
    async with client(service.address) as one, begun(one, upload(one, headers={**keyed, **LONG})) as request:
        again = await upload(one, headers=keyed)
        assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")
        await run(redis)
    assert request.result().json()["job_id"] == again.json()["job_id"]


async def test_upload_memory_is_free_while_requests_wait(make_service: MakeService, redis: Redis) -> None:
    """The pictures of three requests that wait are more than the budget has room for."""
    service = make_service(upload_memory=str(1 << 20), max_file_bytes=str(1 << 20))

    def send(one: httpx.AsyncClient, number: int, **headers: str) -> Coroutine[Any, Any, httpx.Response]:
        body = bytes(batches.batch(size=600_000, seed=number))
        return one.post("upload/batch", content=body, headers={"Content-Type": CONTENT_TYPE, **headers})

    async with client(service.address) as one:
        tasks = [asyncio.create_task(send(one, number, **LONG)) for number in range(3)]
        await until_waiting(one, 3)
        assert (await send(one, 3)).status_code == 202
        await run(redis)
        answers = await asyncio.wait_for(asyncio.gather(*tasks), 20)
    assert {answer.json()["status"] for answer in answers} == {"succeeded"}


async def test_a_client_that_leaves_ends_the_wait_and_not_the_job(service: Service, redis: Redis) -> None:
    async with client(service.address) as one:
        task = asyncio.create_task(upload(one))
        await until_waiting(one)
        task.cancel()
        await asyncio.wait([task])
        await until_waiting(one, 0)
        (job,) = (await one.get("jobs")).json()["jobs"]
        assert job["status"] == "queued"
        await run(redis)
        assert (await one.get(f"status/{job['job_id']}")).json()["status"] == "succeeded"
        metrics = service.get("/metrics").content.decode()
    assert 'endpoint="/api/v1/upload/batch",method="POST",status="499"' in metrics


async def test_a_deleted_job_ends_the_wait(service: Service) -> None:
    async with client(service.address) as one, begun(one, upload(one)) as request:
        (job,) = (await one.get("jobs")).json()["jobs"]
        assert (await one.delete(f"jobs/{job['job_id']}")).status_code == 204
    assert request.result().status_code == 202
    assert request.result().json()["job_id"] == job["job_id"]
    assert service.get(f"status/{job['job_id']}").status == 404


async def failed_job(one: httpx.AsyncClient, redis: Redis) -> str:
    job_id: str = (await upload(one, headers={})).json()["job_id"]
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await fail(redis, claim)
    return job_id


async def test_retry_waits_for_the_end_that_follows_it(service: Service, redis: Redis) -> None:
    """Not for the earlier end, whose `complete` may still be on its way to this process."""
    async with client(service.address) as one:
        job_id = await failed_job(one, redis)
        async with begun(one, one.post(f"jobs/{job_id}/retry", headers=LONG)) as request:
            await run(redis)
    assert request.result().json()["status"] == "succeeded"
    assert request.result().headers[APPLIED] == "wait=50"


async def test_cancel_waits_for_what_fal_still_runs(service: Service, redis: Redis) -> None:
    async with client(service.address) as one:
        job_id = (await upload(one, headers={})).json()["job_id"]
        (claim,) = await pick(redis)
        await submit(redis, claim)
        async with begun(one, one.post(f"jobs/{job_id}/cancel", headers=LONG)) as request:
            await finish(redis, claim)
    assert request.result().json()["status"] == "succeeded"


async def test_the_wait_is_no_part_of_the_requests_duration(service: Service) -> None:
    name = 'http_request_duration_seconds_sum{endpoint="/api/v1/upload/batch",method="POST"}'

    def seconds() -> float:
        lines = service.get("/metrics").content.decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    before = seconds()
    async with client(service.address) as one:
        began = perf_counter()
        await upload(one, headers={"Prefer": "wait=2"})
        whole = perf_counter() - began
    assert 0 < seconds() - before <= whole - 2


async def reopened(redis: Redis, job_id: str) -> None:
    """The job ends, and is retried at once: two versions that arrive together."""
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await fail(redis, claim)
    await records.retry(redis, job_id, None, None, low_priority=False)


async def test_a_job_that_is_reopened_at_once_is_shown_as_it_is(service: Service, redis: Redis) -> None:
    async with client(service.address) as one, begun(one, upload(one)) as request:
        (job,) = (await one.get("jobs")).json()["jobs"]
        await reopened(redis, job["job_id"])
    assert request.result().json()["status"] in {"queued", "failed"}
    assert (await job_reads.read_job(redis, job["job_id"])).job.finished_at is None
