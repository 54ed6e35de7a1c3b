"""The list of jobs: newest first, page by page, by status, and only one's own."""

import pytest
from redis.asyncio import Redis

from image2model.store.connection import command
from image2model.store.keys import key
from tests.support.served_api import Service, batch
from tests.support.worker_steps import claim, fail


def made(service: Service, count: int) -> list[str]:
    """Ids of new jobs, newest first."""
    return [service.upload(batch(1)).text("job_id") for _ in range(count)][::-1]


def listed(service: Service, query: str = "") -> tuple[list[object], object]:
    answer = service.get(f"jobs{query}")
    assert answer.status == 200, answer.content
    return [job["job_id"] for job in answer.items("jobs")], answer.body["next_cursor"]


def test_nobody_has_jobs_at_first(service: Service) -> None:
    assert listed(service) == ([], None)


async def test_pages_neither_repeat_nor_skip_while_jobs_are_made(service: Service, redis: Redis) -> None:
    before = made(service, 5)
    await redis.zadd(key("owner_jobs", "local"), dict.fromkeys(before, 1000000))  # all in one millisecond
    before.sort(reverse=True)
    seen, cursor = listed(service, "?limit=2")
    assert seen == before[:2]
    new = made(service, 1)
    while cursor:
        page, cursor = listed(service, f"?limit=2&cursor={cursor}")
        seen += page
    assert seen == before
    assert listed(service, "?limit=100") == (new + before, None)


def test_jobs_are_documents_without_images(service: Service) -> None:
    service.upload(batch(2))
    (job,) = service.get("jobs").items("jobs")
    assert "images" not in job
    assert (job["status"], job["total"], job["estimated_cost_usd"]) == ("queued", 2, 0.6)


async def test_jobs_are_found_by_status_however_far_back(service: Service, redis: Redis) -> None:
    jobs = made(service, 4)
    (first,) = await claim(redis, 1)  # the oldest job's
    await fail(redis, first)
    assert listed(service, "?status=failed&limit=1") == ([jobs[-1]], None)
    assert listed(service, "?status=failed,queued")[0] == jobs
    assert listed(service, "?status=succeeded") == ([], None)


def test_deleted_job_is_not_listed(service: Service) -> None:
    first, second = made(service, 2)
    service.send("DELETE", f"/api/v1/jobs/{first}")
    assert listed(service)[0] == [second]


async def test_expired_job_is_not_listed(service: Service, redis: Redis) -> None:
    first, second = made(service, 2)
    await command(redis, "HSET", key("job", first), "expires_at", "1000")
    assert listed(service)[0] == [second]
    await redis.delete(key("job", second))
    assert listed(service)[0] == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=ten",
        "limit=1e9",
        "status=done",
        "cursor=!",
        "cursor=AAAA",
        "cursor=kgGhYQ",
    ],
)
def test_bad_query_is_refused_with_what_to_do(service: Service, query: str) -> None:
    answer = service.get(f"jobs?{query}")
    assert (answer.status, answer.code) == (422, "invalid_parameter")
    assert query.split("=")[0] in answer.text("detail")
