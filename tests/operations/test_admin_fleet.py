"""`/admin/workers` and `/admin/jobs`."""

from redis.asyncio import Redis

from image2model.queue import fleet
from image2model.store.connection import command
from image2model.store.keys import key
from tests.support.jobs import create_job
from tests.support.served_api import Service, batch
from tests.support.worker_steps import claim, fail


def listed(service: Service, query: str = "") -> tuple[list[tuple[object, object]], object]:
    answer = service.get(f"admin/jobs{query}")
    assert answer.status == 200, answer.content
    return [(job["job_id"], job["owner"]) for job in answer.items("jobs")], answer.body["next_cursor"]


async def test_everybodys_jobs_are_listed_newest_first(service: Service, redis: Redis) -> None:
    made: list[tuple[object, object]] = []
    for number in range(7):
        owner = f"owner{number % 3}"
        job_id = await create_job(redis, owner=owner)
        await command(redis, "ZADD", key("owner_jobs", owner), 1_000_000 + number, job_id)
        made.append((job_id, owner))
    made.append((service.upload(batch()).text("job_id"), "local"))
    assert listed(service, "?limit=100") == (made[::-1], None)


async def test_pages_across_owners_neither_repeat_nor_skip(service: Service, redis: Redis) -> None:
    made: list[tuple[object, object]] = []
    for number in range(9):
        owner = f"owner{number % 3}"
        job_id = await create_job(redis, owner=owner)
        await command(redis, "ZADD", key("owner_jobs", owner), 1_000_000, job_id)  # all in one millisecond
        made.append((job_id, owner))
    seen, cursor = listed(service, "?limit=2")
    while cursor:
        page, cursor = listed(service, f"?limit=2&cursor={cursor}")
        seen += page
    assert seen == sorted(made, reverse=True)


async def test_jobs_of_all_are_found_by_status(service: Service, redis: Redis) -> None:
    first = await create_job(redis, owner="ann")
    (held,) = await claim(redis, 1)
    await fail(redis, held)
    await create_job(redis, owner="bob")
    assert listed(service, "?status=failed") == ([(first, "ann")], None)


async def test_living_workers_are_listed(service: Service, redis: Redis) -> None:
    heartbeat = fleet.Heartbeat(
        worker_id="w-1",
        host="box",
        pid=7,
        queues=("model_generation",),
        running=3,
        slots=100,
        started_at=1_700_000_000_000,
    )
    await fleet.heartbeat(redis, heartbeat)
    (worker,) = service.get("admin/workers").items("workers")
    assert worker.pop("last_beat_at")
    assert worker == {
        "worker_id": "w-1",
        "host": "box",
        "pid": 7,
        "queues": ["model_generation"],
        "running": 3,
        "slots": 100,
        "started_at": "2023-11-14T22:13:20.000Z",
    }
    await fleet.leave(redis, "w-1")
    assert service.get("admin/workers").items("workers") == []
