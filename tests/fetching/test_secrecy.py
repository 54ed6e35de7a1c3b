"""A signed address is shown nowhere: not in a log, an event, a webhook, an error, a document or a backup, and
it stays in the store only until it is fetched."""

import asyncio
import gzip
import zipfile
from pathlib import Path

import pytest
from redis.asyncio import Redis

from image2model.domain import Counts
from image2model.operations import backup
from tests.fetching.conftest import World
from tests.support import picture_server as answers
from tests.support.picture_server import SECRET
from tests.support.sketches import picture
from tests.support.webhook_receiver import answering, receiving

PNG = picture(1, (48, 32))
NEEDLE = SECRET.encode()


async def everything(redis: Redis) -> bytes:
    """Every name and every value of the store."""
    found = b""
    async for name in redis.scan_iter(count=1000):
        kind = (await redis.type(name)).decode()
        if kind == "stream":
            found += repr(await redis.xrange(name)).encode()
        elif kind == "hash":
            found += repr(await redis.hgetall(name)).encode()
        elif kind == "zset":
            found += repr(await redis.zrange(name, 0, -1)).encode()
        elif kind == "list":
            found += repr(await redis.lrange(name, 0, -1)).encode()
        elif kind == "set":
            found += repr(await redis.smembers(name)).encode()
        else:
            found += repr(await redis.get(name)).encode()
        found += name
    return found


@pytest.mark.long
async def test_signed_address_is_nowhere_afterwards(world: World, tmp_path: Path) -> None:
    pages: dict[str, tuple[answers.Answering | bytes, ...]] = {
        "/good.png": (PNG,),
        "/moved.png": (answers.redirect(world.pictures.url("/good.png")),),
        "/404.png": (answers.gone,),
        "/html.png": (answers.picture_of(b"<html>" + NEEDLE * 10),),
        "/503.png": (answers.status("503 Busy"), PNG),
        "/cut.png": (answers.cut(PNG[:300]), PNG),
        "/private.png": (answers.redirect(f"ftp://10.0.0.1/{SECRET}"),),
    }
    entries = [{"url": world.pictures.put(path, *page)} for path, page in pages.items()]
    dead = {"url": f"http://127.0.0.1:1/dead.png?{SECRET}"}
    worker, service = world.start_worker(), world.service
    body = {"images": [*entries, dead]}
    refused = world.send({**body, "images": [{"url": f"https://u:{SECRET}@example.com/a.png"}]})
    assert refused.status == 422
    assert NEEDLE not in refused.content
    answer = world.send(body, idempotency_key="once")
    assert answer.status == 202, answer.content
    job_id = answer.text("job_id")
    await world.fleet.until(job_id, lambda job: job.counts.unfinished == 1, 60)
    # the last one is tried again, so its address is kept: in its own key alone, and in no backup
    kept = await world.fetches()
    assert len(kept) == 1
    await backup.make(world.fleet.redis, None, tmp_path / "b.zip")
    assert NEEDLE not in unpacked(tmp_path / "b.zip")
    ttl = await world.fleet.redis.pttl(kept[0])
    assert 0 < ttl <= 86_400_000
    assert service.post(f"jobs/{job_id}/cancel").status == 202
    job = await world.ended(job_id)
    assert job.counts == Counts(succeeded=4, failed=3, cancelled=1)
    documents = [
        answer.content,
        world.send(body, idempotency_key="once").content,
        service.get(f"status/{job_id}").content,
        service.get(f"jobs/{job_id}/webhooks").content,
        service.get("jobs").content,
        service.get("/metrics").content,
        service.get("admin/dead").content,
        service.get(f"status/stream/{job_id}").content,
    ]
    assert not [one for one in documents if NEEDLE in one]
    assert NEEDLE not in await everything(world.fleet.redis)
    await worker.end()
    assert SECRET not in worker.log.read_text()
    assert "picture_not_fetched" in worker.log.read_text()


def unpacked(path: Path) -> bytes:
    """Everything in a backup, with its records unpacked."""
    with zipfile.ZipFile(path) as archive:
        parts = [archive.read(name) for name in archive.namelist()]
    return b"".join(gzip.decompress(one) if one[:2] == b"\x1f\x8b" else one for one in parts)


@pytest.mark.long
async def test_events_and_webhook_have_no_address(world: World) -> None:
    urls = [world.pictures.put("/1.png", PNG), world.pictures.put("/2.png", answers.gone)]
    async with receiving(answering("200 OK")) as receiver:
        body = {"images": [{"url": url} for url in urls], "webhook_url": receiver.url}
        job_id = world.accepted(body)
        world.start_worker()
        await world.ended(job_id)
        async with asyncio.timeout(60):
            await receiver.arrived.wait()
    (call,) = receiver.requests
    assert job_id.encode() in call.body
    assert NEEDLE not in call.head + call.body
    redis = world.fleet.redis
    events = repr([await redis.xrange(name) async for name in redis.scan_iter(match="*:events")])
    assert job_id in events
    assert SECRET not in events
