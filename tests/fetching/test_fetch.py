"""Pictures that came as addresses: unknown until a worker has fetched them, then like any other."""

import hashlib

from image2model.domain import Counts
from tests.fetching.conftest import World
from tests.support.sketches import picture

PNG = picture(1, (48, 32), fmt="PNG")


async def test_picture_is_fetched_and_becomes_a_model(world: World) -> None:
    url = world.pictures.put("/a/chair%20one.png", PNG)
    answer = world.send({"images": [{"url": url}], "metadata": {"order": 7}})
    assert answer.status == 202, answer.content
    (image,) = answer.items("images")
    assert (image["filename"], image["status"], image["waiting_for"]) == ("chair one.png", "queued", "fetch")
    known = ("size", "sha256", "width", "height")
    assert [image[name] for name in known] == [None] * 4
    assert [image["views"][0][name] for name in known] == [None] * 4
    job_id = answer.text("job_id")
    assert world.service.get(f"images/{job_id}/{image['image_id']}/thumbnail").status == 404
    assert world.service.get(f"download/{job_id}/{image['image_id']}?file=original").status == 409
    world.start_worker()
    job = await world.ended(job_id)
    assert job.counts == Counts(succeeded=1)
    (now,) = world.service.get(f"status/{job_id}").items("images")
    facts = [len(PNG), hashlib.sha256(PNG).hexdigest(), 48, 32]
    assert [now[name] for name in known] == facts
    assert [now["views"][0][name] for name in known] == facts
    assert len(world.pictures.requests("/a/chair%20one.png")) == 1
    assert await world.fetches() == []
    assert world.service.get(f"images/{job_id}/{image['image_id']}/thumbnail").status == 200
