"""A batch that is accepted: its answer, its files, and what the store knows of it."""

from redis.asyncio import Redis

from image2model.store.arq_keys import queue_key
from tests.support.multipart_body import Body
from tests.support.served_api import PNG, Service, batch


async def test_accepted_batch_is_a_job_with_its_pictures_stored(service: Service, redis: Redis) -> None:
    answer = service.upload(batch(3, face_limit="5000"))
    assert answer.status == 202
    status = service.get(answer.headers["location"])
    assert (status.status, status.body) == (200, answer.body)
    assert (answer.body["params"], answer.body["estimated_cost_usd"]) == ({"face_limit": 5000}, 0.9)
    assert len(service.stored()) == 3
    assert await redis.zcard(queue_key("model_generation")) == 3


def test_hostile_name_is_kept_as_its_last_segment(service: Service) -> None:
    answer = service.upload(Body().file("../../etc/passwd", PNG))
    assert answer.status == 202
    assert [image["filename"] for image in answer.items("images")] == ["passwd"]
