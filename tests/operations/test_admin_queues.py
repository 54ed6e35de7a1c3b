"""An operator's pause over HTTP."""

from redis.asyncio import Redis

from image2model.queue import fleet
from tests.support.served_api import Service


async def test_pause_and_resume_are_told_and_idempotent(service: Service, redis: Redis) -> None:
    path = "admin/queues/model_generation"
    first = service.post(f"{path}/pause")
    assert first.status == 200, first.content
    assert first.body["changed"] is True
    assert service.post(f"{path}/pause").body["changed"] is False
    paused = {queue.queue: queue.paused for queue in (await fleet.read(redis)).queues}
    assert paused["model_generation"] == ("paused",)
    assert service.post(f"{path}/resume").body["paused"] is False
    paused = {queue.queue: queue.paused for queue in (await fleet.read(redis)).queues}
    assert paused["model_generation"] == ()


def test_queue_that_does_not_exist_is_404(service: Service) -> None:
    assert service.post("admin/queues/nothing/pause").code == "not_found"
