"""`/admin/dead`: what failed for good, with its history, and the replays."""

import msgspec
from redis.asyncio import Redis

from image2model.domain import ImageError, ImageStatus
from image2model.generation import steps
from image2model.jobs import records
from image2model.store import job_reads
from image2model.store.connection import command
from image2model.store.keys import key
from tests.support.served_api import Service, batch
from tests.support.worker_steps import claim, fail, submit, succeed

S = ImageStatus
GAVE_UP = ImageError("generation_failed", "FAL gave up.", retryable=True)
UNREADABLE = ImageError("image_unreadable", "No picture.", retryable=False)


async def dead_images(service: Service, redis: Redis, count: int, **fields: str) -> tuple[str, list[str]]:
    """A job of which every image has failed, in this order."""
    job_id = service.upload(batch(count, no_cache="true", **fields)).text("job_id")
    held = await claim(redis, count)
    for one in held:
        await fail(redis, one)
        failed_at = await store_ms(redis)
        while await store_ms(redis) == failed_at:  # of those that fail in one millisecond none is the newer
            pass
    return job_id, [one.task_id for one in held]


async def store_ms(redis: Redis) -> int:
    """The store's clock."""
    seconds, micros = await redis.time()
    return int(seconds) * 1000 + int(micros) // 1000


def listed(service: Service, query: str = "") -> list[object]:
    answer = service.get(f"admin/dead{query}")
    assert answer.status == 200
    return [image["image_id"] for image in answer.items("images")]


async def test_dead_letter_has_its_whole_history(service: Service, redis: Redis) -> None:
    job_id = service.upload(batch()).text("job_id")
    (first,) = await claim(redis)
    await submit(redis, first)
    await steps.try_again(redis, first.task_id, first.token, used_attempt=True, error=GAVE_UP)
    await steps.fail(redis, first.task_id, first.token, UNREADABLE)
    (dead,) = service.get("admin/dead").items("images")
    assert (dead["image_id"], dead["job_id"], dead["owner"]) == (first.task_id, job_id, "local")
    assert dead["error"] == {"code": "image_unreadable", "message": "No picture.", "retryable": False}
    history = msgspec.convert(dead["history"], list[dict[str, object]])
    assert [(step["status"], step["attempt"]) for step in history] == [
        ("queued", 1),
        ("preparing", 1),
        ("submitted", 1),
        ("queued", 2),
        ("failed", 2),
    ]
    attempts = msgspec.convert(dead["attempts"], list[dict[str, object]])
    assert [attempt["fal_request_id"] for attempt in attempts] == [f"r-{first.task_id}", None]
    told = [msgspec.convert(attempt["error"], ImageError).code for attempt in attempts]
    assert told == ["generation_failed", "image_unreadable"]


async def test_only_the_failed_are_dead(service: Service, redis: Redis) -> None:
    job_id = service.upload(batch(4)).text("job_id")
    good, bad, _stopped = await claim(redis, 3)
    await fail(redis, bad)
    await succeed(redis, good, job_id, service.files.as_uri())
    service.post(f"jobs/{job_id}/cancel")
    assert listed(service) == [bad.task_id]


async def test_filters_narrow_the_list(service: Service, redis: Redis) -> None:
    _, tripo = await dead_images(service, redis, 2)
    _, trellis = await dead_images(service, redis, 1, model="fal-ai/trellis")
    assert listed(service, "?model=fal-ai/trellis") == trellis
    assert listed(service, "?code=generation_failed&owner=local") == [*trellis, *reversed(tripo)]
    assert listed(service, "?code=image_unreadable") == []
    assert listed(service, "?owner=nobody") == []


async def test_pages_show_each_once(service: Service, redis: Redis) -> None:
    _, ids = await dead_images(service, redis, 7)
    seen: list[object] = []
    cursor = ""
    while True:
        answer = service.get(f"admin/dead?limit=2{cursor}")
        seen += [image["image_id"] for image in answer.items("images")]
        if answer.body["next_cursor"] is None:
            break
        cursor = f"&cursor={answer.text('next_cursor')}"
    assert sorted(map(str, seen)) == sorted(ids)


async def test_images_that_failed_in_one_moment_are_each_listed_once(service: Service, redis: Redis) -> None:
    _, ids = await dead_images(service, redis, 9)
    for image_id in ids:
        await command(redis, "ZADD", key("dead"), 1_700_000_000_000, image_id)
    first = service.get("admin/dead?limit=5")
    second = service.get(f"admin/dead?limit=5&cursor={first.text('next_cursor')}")
    seen = [str(image["image_id"]) for page in (first, second) for image in page.items("images")]
    assert seen == sorted(ids, reverse=True)


async def test_replay_runs_one_again_and_takes_it_off_the_list(service: Service, redis: Redis) -> None:
    job_id, (first, second) = await dead_images(service, redis, 2)
    answer = service.post(f"admin/dead/{first}/replay")
    assert answer.status == 202
    assert answer.body["job_id"] == job_id
    assert await redis.zrange(key("dead"), 0, -1) == [second.encode()]
    assert listed(service) == [second]
    status = {image.image_id: image.status for image in (await job_reads.read_job(redis, job_id)).images}
    assert status == {first: S.QUEUED, second: S.FAILED}
    assert service.post(f"admin/dead/{first}/replay").code == "already_finished"
    assert service.post(f"admin/dead/{'0' * 32}/replay").code == "not_found"


async def test_filter_replays_up_to_its_limit_and_says_how_many(service: Service, redis: Redis) -> None:
    first, _ = await dead_images(service, redis, 2)
    second, _ = await dead_images(service, redis, 2)
    body = {"code": "generation_failed", "limit": 3}
    answer = service.post("admin/dead/replay", msgspec.json.encode(body))
    assert answer.status == 202
    assert (answer.body["replayed"], answer.body["more"]) == (3, True)
    assert sorted(msgspec.convert(answer.body["job_ids"], list[str])) == sorted([first, second])
    rest = service.post("admin/dead/replay", b'{"all": true}')
    assert (rest.body["replayed"], rest.body["more"]) == (1, False)
    assert listed(service) == []


def test_replay_of_everything_must_be_said(service: Service) -> None:
    for body in (b"{}", b'{"limit": 5}', b'{"all": true, "limit": 0}', b'{"cod": "x"}', b"[]", b""):
        answer = service.post("admin/dead/replay", body)
        assert (answer.status, answer.code) == (422, "invalid_parameter")


async def test_deleted_jobs_images_are_not_dead(service: Service, redis: Redis) -> None:
    job_id, _ = await dead_images(service, redis, 2)
    service.send("DELETE", f"/api/v1/jobs/{job_id}")
    assert listed(service) == []
    await records.erase(redis, job_id)
    assert await redis.zcard(key("dead")) == 0


async def test_expired_images_leave_the_index(service: Service, redis: Redis) -> None:
    _, ids = await dead_images(service, redis, 3)
    await redis.delete(*(key("image", image_id) for image_id in ids))
    assert listed(service) == []
    assert await redis.zcard(key("dead")) == 0


def test_bad_questions_are_refused(service: Service) -> None:
    for query in ("limit=0", "limit=101", "limit=x", "cursor=x", "cursor=AAAA"):
        assert service.get(f"admin/dead?{query}").code == "invalid_parameter"
