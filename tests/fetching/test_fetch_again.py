"""Fetches that failed: retried with the same address or not, as the failure says; and lost addresses."""

from image2model.domain import Counts, ImageStatus
from image2model.queue import reconciliation
from image2model.store.arq_keys import queue_key
from image2model.store.keys import Queue
from tests.fetching.conftest import PRIVATE, World
from tests.support import picture_server as answers
from tests.support.service_process import ServiceProcess
from tests.support.sketches import picture
from tests.support.wait import until

PNG = picture(1, (48, 32))
BUSY = answers.status("503 Service Unavailable")


def hasty(world: World) -> ServiceProcess:
    return world.fleet.start_worker("tests.support.hasty_fetcher", **PRIVATE)


async def test_retry_fetches_from_the_same_address(world: World) -> None:
    url = world.pictures.put("/1.png", BUSY, BUSY, PNG)
    job_id = world.accepted({"images": [{"url": url}], "variants": 2, "model": "fal-ai/triposr"})
    hasty(world)
    job = await world.ended(job_id)
    assert job.counts == Counts(failed=2)
    errors = [image.error for image in job.images if image.error is not None]
    assert [(one.code, one.retryable) for one in errors] == [("image_unreadable", True)] * 2
    assert "answered 503" in errors[0].message
    assert "within 24 hours" in errors[0].message
    assert world.fleet.emulator.submissions() == []
    assert len(await world.fetches()) == 1
    # one of the two: the picture serves both all the same
    image_id = job.images[1].image_id
    retried = world.service.post(
        f"jobs/{job_id}/retry", f'{{"image_ids": ["{image_id}"]}}'.encode(), content_type="application/json"
    )
    assert retried.status == 202, retried.content
    assert retried.items("images")[1]["waiting_for"] == "fetch"
    job = await world.ended(job_id)
    assert job.counts == Counts(succeeded=1, failed=1)
    assert [image.width for image in job.images] == [48, 48]
    assert await world.fetches() == []
    # its picture is here by now
    assert world.service.post(f"jobs/{job_id}/retry").status == 202
    job = await world.ended(job_id)
    assert job.counts == Counts(succeeded=2)
    assert len(world.pictures.requests("/1.png")) == 3
    assert len(world.fleet.emulator.submissions()) == 2


async def test_delete_erases_the_address_of_a_failed_fetch(world: World) -> None:
    job_id = world.accepted({"images": [{"url": world.pictures.put("/1.png", BUSY)}]})
    hasty(world)
    assert (await world.ended(job_id)).counts == Counts(failed=1)
    assert len(await world.fetches()) == 1
    assert world.service.send("DELETE", f"/api/v1/jobs/{job_id}").status == 204
    assert await world.fetches() == []


async def test_image_whose_address_is_lost_fails_with_advice(world: World) -> None:
    job_id = world.accepted({"images": [{"url": world.pictures.put("/1.png", PNG)}]})
    redis = world.fleet.redis
    (fetch,) = await world.fetches()
    await redis.delete(fetch)  # it has run out
    world.start_worker()

    async def tried() -> bool:
        return bool(await redis.zcard(queue_key(Queue.FETCH)) == 0)

    await until(tried, timeout=60)
    await reconciliation.repair(redis, job_id)
    job = await world.ended(job_id)
    (image,) = job.images
    assert image.status is ImageStatus.FAILED
    assert image.error is not None
    assert "not kept any more" in image.error.message
    assert world.pictures.raw.requests == []


async def test_pictures_are_fetched_while_generation_is_paused(world: World) -> None:
    assert world.service.post("admin/queues/model_generation/pause").status == 200
    job_id = world.accepted({"images": [{"url": world.pictures.put("/1.png", PNG)}]})
    world.start_worker()
    job = await world.fleet.until(job_id, lambda job: job.images[0].sha256 is not None, 60)
    assert (job.counts.queued, await world.fetches()) == (1, [])
    assert world.service.post("admin/queues/model_generation/resume").status == 200
    assert (await world.ended(job_id)).counts == Counts(succeeded=1)
