"""`POST …/files/refresh`: who may ask, and what an open or a returning stream is told of what came."""

import msgspec
from redis.asyncio import Redis

from image2model.domain import ImageResult, MissingFile, ResultFile, ResultWarning, WarningCode
from image2model.generation import stored_results
from image2model.generation.stored_results import Replaced
from image2model.store.arq_keys import queue_key
from tests.support.served_api import Service, batch
from tests.support.worker_steps import claim, fail, succeed

MISSING = MissingFile("preview", "https://v3.fal.media/p.png")
WARNING = ResultWarning(WarningCode.FILE_MISSING, "preview", "FAL's rendered_image was not fetched.")


async def with_a_missing_file(service: Service, redis: Redis) -> tuple[str, str]:
    """Job and image of a success that lacks its preview."""
    job_id = service.upload(batch(1)).text("job_id")
    [one] = await claim(redis)
    await succeed(redis, one, job_id, service.files.as_uri())
    before = await stored_results.result_text(redis, one.task_id)
    after = msgspec.structs.replace(
        stored_results.result_from(before), warnings=(WARNING,), missing=(MISSING,)
    )
    assert await stored_results.replace_result(redis, one.task_id, before, after) is Replaced.DONE
    return job_id, one.task_id


async def queued(redis: Redis, image_id: str) -> int:
    """How many tasks wait that fetch files of this image again."""
    ids = await redis.zrange(queue_key("batch_processing"), 0, -1)
    return sum(one == f"refresh:{image_id}".encode() for one in ids)


async def test_refresh_is_queued_once_however_often_it_is_asked_for(service: Service, redis: Redis) -> None:
    job_id, image_id = await with_a_missing_file(service, redis)
    for _ in range(3):
        answer = service.send("POST", f"/api/v1/jobs/{job_id}/images/{image_id}/files/refresh")
        assert answer.status == 202
        (image,) = answer.items("images")
        assert image["result"]["warnings"] == [
            {"code": "file_missing", "file": "preview", "message": WARNING.message}
        ]
        assert "missing" not in image["result"]
    assert await queued(redis, image_id) == 1


async def test_nothing_is_queued_where_nothing_is_missing(service: Service, redis: Redis) -> None:
    job_id = service.upload(batch(1)).text("job_id")
    [one] = await claim(redis)
    await succeed(redis, one, job_id, service.files.as_uri())
    answer = service.send("POST", f"/api/v1/jobs/{job_id}/images/{one.task_id}/files/refresh")
    assert (answer.status, answer.text("job_id")) == (202, job_id)
    assert await queued(redis, one.task_id) == 0


async def test_image_without_a_result_is_not_ready(service: Service, redis: Redis) -> None:
    job_id = service.upload(batch(2)).text("job_id")
    [one] = await claim(redis)
    await fail(redis, one)
    job = service.get(f"status/{job_id}")
    for image in job.items("images"):
        answer = service.send("POST", f"/api/v1/jobs/{job_id}/images/{image['image_id']}/files/refresh")
        assert (answer.status, answer.code) == (409, "not_ready")
    for unknown in (
        f"/api/v1/jobs/{job_id}/images/{'f' * 32}",
        f"/api/v1/jobs/{'f' * 32}/images/{one.task_id}",
    ):
        answer = service.send("POST", f"{unknown}/files/refresh")
        assert (answer.status, answer.code) == (404, "not_found")


async def test_stream_goes_on_with_an_image_and_a_complete(service: Service, redis: Redis) -> None:
    job_id, image_id = await with_a_missing_file(service, redis)
    last = int(service.get(f"status/{job_id}").headers["etag"].strip('"').split("-")[0])
    before = await stored_results.result_text(redis, image_id)
    preview = ResultFile("preview", "png", 3, "results/x/y/preview.png")
    files = (*stored_results.result_from(before).files, preview)
    await stored_results.replace_result(redis, image_id, before, ImageResult(files))
    stream = service.get(f"status/stream/{job_id}", last_event_id=str(last))
    told = [
        (fields["event"], int(fields["id"]))
        for block in stream.content.decode().split("\n\n")
        if "event" in (fields := dict(line.split(": ", 1) for line in block.splitlines() if ": " in line))
    ]
    assert told == [("image", last + 1), ("complete", last + 2)]
    assert service.get(f"status/{job_id}").items("images")[0]["result"]["warnings"] == []
