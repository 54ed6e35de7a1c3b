"""Unfinished work, refusals, the disk and the store's server in `/metrics`, without a worker."""

from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from image2model.domain import ImageStatus
from image2model.generation import steps
from image2model.queue import leases
from image2model.storage.objects import MIN_FREE_BYTES
from image2model.store.keys import Queue
from image2model.up.store import EmbeddedStore
from tests.support import worker_steps
from tests.support.scraped import by_label, scraped
from tests.support.served_api import Service, batch

NOTHING = dict.fromkeys(
    ("waiting", "fetching", "awaiting_confirmation", "preparing", "at_fal", "storing"), 0.0
)


def metrics(service: Service) -> str:
    return service.get("/metrics").content.decode()


def work(service: Service) -> dict[str, float]:
    """Unfinished images by their state; only states with images."""
    found = by_label(metrics(service), "image2model_unfinished_images", "state")
    assert found.keys() == NOTHING.keys()
    return {state: count for state, count in found.items() if count}


async def test_each_unfinished_image_is_in_one_state_on_its_whole_way(service: Service, redis: Redis) -> None:
    assert work(service) == {}
    job_id = service.upload(batch(5)).text("job_id")
    assert work(service) == {"waiting": 5}
    first, second, third = await worker_steps.claim(redis, 3)
    assert work(service) == {"waiting": 2, "preparing": 3}
    await worker_steps.submit(redis, first)
    await worker_steps.submit(redis, second)
    assert work(service) == {"waiting": 2, "preparing": 1, "at_fal": 2}
    await steps.move(redis, first.task_id, first.token, ImageStatus.STORING)
    assert work(service) == {"waiting": 2, "preparing": 1, "at_fal": 1, "storing": 1}
    await worker_steps.fail(redis, first)
    await worker_steps.fail(redis, third)
    assert work(service) == {"waiting": 2, "at_fal": 1}
    assert scraped(metrics(service), "image2model_dead_letters") == 2
    service.post(f"jobs/{job_id}/cancel")
    assert work(service) == {"at_fal": 1}


async def test_image_that_its_worker_has_released_is_where_fal_has_it(service: Service, redis: Redis) -> None:
    service.upload(batch(2))
    sent, unsent = await worker_steps.claim(redis, 2)
    await worker_steps.submit(redis, sent)
    for held in (sent, unsent):
        await leases.release(
            redis, Queue.GENERATION, held.task_id, held.token, finished=False, score=held.score
        )
    assert work(service) == {"waiting": 1, "at_fal": 1}


async def test_picture_from_an_address_is_being_fetched(service: Service) -> None:
    body = b'{"images": [{"url": "https://pictures.example/a.png"}]}'
    answer = service.post("upload/batch", body, content_type="application/json")
    assert answer.status == 202, answer.content
    assert work(service) == {"fetching": 1}


async def test_end_of_a_job_is_announced_by_somebody(service: Service, redis: Redis) -> None:
    service.upload(batch())
    assert scraped(metrics(service), "image2model_webhooks_due") == 0
    (held,) = await worker_steps.claim(redis)
    await worker_steps.fail(redis, held)
    assert scraped(metrics(service), "image2model_webhooks_due") == 1
    assert scraped(metrics(service), "image2model_webhooks_retrying") == 0


def test_work_stays_known_while_the_store_is_away(
    make_service: Callable[..., Service], own_store: EmbeddedStore
) -> None:
    service = make_service(redis_url=own_store.url)
    service.upload(batch(2))
    read_at = scraped(metrics(service), "image2model_work_read_timestamp_seconds")
    own_store.kill()
    text = metrics(service)
    assert scraped(text, "image2model_queue_depth") is None
    assert scraped(text, "image2model_unfinished_images", state="waiting") == 2
    assert scraped(text, "image2model_work_read_timestamp_seconds") == read_at


def test_store_that_was_never_read_has_no_known_work(
    make_service: Callable[..., Service], own_store: EmbeddedStore
) -> None:
    service = make_service(redis_url=own_store.url)
    own_store.kill()
    assert scraped(metrics(service), "image2model_unfinished_images") is None


@pytest.mark.long
def test_disk_and_the_stores_memory_are_shown(service: Service) -> None:
    text = metrics(service)
    assert scraped(text, "image2model_storage_least_free_bytes") == MIN_FREE_BYTES
    assert (scraped(text, "image2model_storage_free_bytes") or 0) > MIN_FREE_BYTES
    assert (scraped(text, "image2model_store_memory_bytes") or 0) > 100_000
    before = scraped(text, "image2model_store_commands_total") or 0
    assert (scraped(metrics(service), "image2model_store_commands_total") or 0) > before > 0


def test_refusals_are_counted_by_their_code(service: Service) -> None:
    def refused(code: str) -> float:
        return scraped(metrics(service), "image2model_refusals_total", code=code) or 0

    before = refused("not_found"), refused("invalid_parameter")
    assert service.get("status/nothing").code == "not_found"
    assert service.get("jobs?limit=many").code == "invalid_parameter"
    assert (refused("not_found"), refused("invalid_parameter")) == (before[0] + 1, before[1] + 1)
