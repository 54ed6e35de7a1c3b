"""The store comes back with older data, or with none: every process believes it at once."""

from collections.abc import Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from image2model.store.connection import connect
from image2model.store.keys import every_key, key
from image2model.up.store import EmbeddedStore
from tests.support.ports import free_ports
from tests.support.replication import replicated
from tests.support.rollback import Rollback
from tests.support.served_api import Answer, Service, batch
from tests.support.wait import until, wait_until
from tests.support.worker_steps import claim, fail, submit, succeed


@pytest.fixture
def redis_url(durable_store: EmbeddedStore) -> str:
    """Of a server that can go back."""
    return durable_store.url


@pytest.fixture
def replicas(make_service: Callable[..., Service]) -> tuple[Service, Service]:
    return make_service(), make_service()


def _statuses(replicas: tuple[Service, Service], job_id: str, **headers: str) -> list[Answer]:
    return [replica.get(f"status/{job_id}", **headers) for replica in replicas]


async def test_older_file_is_believed_by_every_replica(
    replicas: tuple[Service, Service], redis: Redis, rollback: Rollback
) -> None:
    job_id = replicas[0].upload(batch()).text("job_id")
    (one,) = await claim(redis)
    rollback.save()
    await succeed(redis, one, job_id, replicas[0].files.as_uri())
    newer = _statuses(replicas, job_id)
    assert [answer.body["status"] for answer in newer] == ["succeeded"] * 2
    assert newer[0].headers["etag"] == newer[1].headers["etag"]
    rollback.restore()
    older = _statuses(replicas, job_id, if_none_match=newer[0].headers["etag"])
    assert [(answer.status, answer.body["status"]) for answer in older] == [(200, "running")] * 2
    assert older[0].headers["etag"] == older[1].headers["etag"] != newer[0].headers["etag"]
    assert b"image2model_store_rollbacks_total 0.0" not in replicas[0].get("/metrics").content


async def test_store_that_went_back_and_on_to_the_same_version_is_believed(
    replicas: tuple[Service, Service], redis: Redis, rollback: Rollback
) -> None:
    job_id = replicas[0].upload(batch()).text("job_id")
    rollback.save()
    (one,) = await claim(redis)
    await fail(redis, one)
    failed = _statuses(replicas, job_id)
    assert [answer.body["status"] for answer in failed] == ["failed"] * 2
    rollback.restore()
    await claim(redis)
    assert replicas[0].post(f"jobs/{job_id}/cancel").status == 202
    other = _statuses(replicas, job_id, if_none_match=failed[0].headers["etag"])
    assert [(answer.status, answer.body["status"]) for answer in other] == [(200, "cancelled")] * 2
    version = [answer.headers["etag"].split("-")[0] for answer in (failed[0], other[0])]
    assert version[0] == version[1], "the case that the version alone cannot tell"


async def test_same_version_within_one_run_is_told_apart_too(
    replicas: tuple[Service, Service], redis: Redis
) -> None:
    """What was restored into a server that went on running."""
    job_id = replicas[0].upload(batch()).text("job_id")
    kept = {name: await redis.dump(name) for name in await redis.keys(every_key())}
    (one,) = await claim(redis)
    await fail(redis, one)
    assert replicas[0].get(f"status/{job_id}").body["status"] == "failed"
    await redis.flushall()
    assert replicas[0].get(f"status/{job_id}").status == 404
    for name, value in kept.items():
        await redis.restore(name, 60_000, value)
    assert replicas[0].get(f"status/{job_id}").body["status"] == "queued"
    await claim(redis)
    replicas[0].post(f"jobs/{job_id}/cancel")
    assert [answer.body["status"] for answer in _statuses(replicas, job_id)] == ["cancelled"] * 2


async def test_links_are_signed_with_the_secret_that_the_store_has_now(
    replicas: tuple[Service, Service], redis: Redis, rollback: Rollback
) -> None:
    rollback.save()
    job_id = replicas[0].upload(batch()).text("job_id")
    (one,) = await claim(redis)
    rollback.store.stop()
    rollback.store.start(patience=5)
    await redis.delete(key("signing_secret"))  # as in a file that is older than the first start
    rollback.store.stop()
    rollback.store.start(patience=5)
    for signing, reading in (replicas, replicas[::-1]):
        link = signing.get(f"download/{job_id}/{one.task_id}?file=original").headers["location"]
        assert reading.get(link).status == 200


@pytest.mark.long
async def test_failover_to_a_replica_that_lags_is_believed(
    make_service: Callable[..., Service], tmp_path: Path
) -> None:
    one, other, sentinel = free_ports(3)
    with replicated(tmp_path, (one, other, sentinel)) as pair:
        pair.start()
        service = make_service(redis_url=pair.url)
        job_id = service.upload(batch()).text("job_id")
        async with connect(pair.primary_url) as redis:
            (claimed,) = await claim(redis)
            await redis.execute_command("WAITAOF", 1, 1, 5000)
            pair.kill_replica()
            await submit(redis, claimed)
        newer = service.get(f"status/{job_id}")
        assert _counts(newer)["submitted"] == 1
        pair.kill_primary()
        pair.start_replica()
        wait_until(lambda: service.get(f"status/{job_id}").status == 200, timeout=60)
        older = service.get(f"status/{job_id}", if_none_match=newer.headers["etag"])
        assert older.status == 200
        assert _counts(older)["preparing"] == 1

        async def writable() -> bool:
            return service.get("health/ready").status == 200 and service.upload(batch()).status == 202

        await until(writable, timeout=60)


def _counts(answer: Answer) -> dict[str, int]:
    counts = answer.body["counts"]
    assert isinstance(counts, dict)
    return counts
