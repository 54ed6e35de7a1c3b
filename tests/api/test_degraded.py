"""The store answers and takes no writes: what is there can be read, and each refusal says why."""

import asyncio
import http.client
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from image2model.access import rates
from image2model.store.connection import connect
from image2model.store.keys import key
from image2model.up.store import EmbeddedStore
from tests.support.ports import free_ports
from tests.support.served_api import BASE, Answer, Service, batch
from tests.support.store_conditions import REFUSING, WORDS, in_condition, loading_store, server_on
from tests.support.wait import wait_until
from tests.support.worker_steps import claim, succeed

ADMIN = "the-first-admin-key-of-the-settings"
KEY = {"authorization": f"Bearer {ADMIN}"}


@pytest.fixture
async def own_redis(own_store: EmbeddedStore) -> AsyncIterator[Redis]:
    async with connect(own_store.url) as client:
        yield client


def _redis_check(answer: Answer) -> tuple[bool, str]:
    checks = answer.body["checks"]
    assert isinstance(checks, dict)
    check = checks["redis"]
    return check["ok"], check["detail"]


async def _finished_job(service: Service, redis: Redis, **headers: str) -> tuple[str, str]:
    """A job with a model; its id and its image's."""
    job_id = service.upload(batch(), **headers).text("job_id")
    (one,) = await claim(redis)
    await succeed(redis, one, job_id, service.files.as_uri())
    return job_id, one.task_id


def _begins(service: Service, path: str, headers: dict[str, str]) -> bytes:
    """The first event of a stream."""
    connection = http.client.HTTPConnection(service.address.host, service.address.port, timeout=20)
    connection.request("GET", f"{BASE}/{path}", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 200
    found = b""
    while b"data:" not in found:
        found += answer.readline()
    connection.close()
    return found


@pytest.mark.long
@pytest.mark.parametrize("name", REFUSING)
async def test_everything_that_is_there_can_be_read(
    make_service: Callable[..., Service], own_store: EmbeddedStore, own_redis: Redis, name: str
) -> None:
    service = make_service(redis_url=own_store.url, auth="keys", admin_key=ADMIN)
    job_id, image_id = await _finished_job(service, own_redis, **KEY)
    made = service.post("admin/keys", b'{"name": "a", "role": "user"}', **KEY).text("key")
    await own_redis.hset(
        (await own_redis.keys(key("api_key", "*")))[0], "last_used_at", "1"
    )  # its use is due to be noted
    with in_condition(own_store, name):
        wait_until(lambda: not _redis_check(service.get("health/ready"))[0])  # it was asked a moment ago
        ready = service.get("health/ready")
        assert (ready.status, ready.body["status"]) == (200, "degraded")
        assert WORDS[name] in _redis_check(ready)[1]
        status = service.get(f"status/{job_id}", **KEY)
        assert (status.status, status.body["status"]) == (200, "succeeded")
        assert service.get(f"status/{job_id}", if_none_match=status.headers["etag"], **KEY).status == 304
        for path in (
            f"download/{job_id}",
            f"images/{job_id}/{image_id}/thumbnail",
            "jobs",
            "session",
            "models",
            "admin/stats",
            "admin/jobs",
            "admin/workers",
            "admin/dead",
            "admin/keys",
            f"jobs/{job_id}/webhooks",
            "/metrics",
        ):
            assert service.get(path, **KEY).status == 200, path
        assert service.get("jobs", authorization=f"Bearer {made}").status == 200
        link = service.get(f"download/{job_id}/{image_id}", **KEY).headers["location"]
        assert service.get(link).status == 200
        assert b'"succeeded"' in await asyncio.to_thread(_begins, service, f"status/stream/{job_id}", KEY)
        assert b'"jobs"' in await asyncio.to_thread(_begins, service, "events", KEY)
        assert service.get("jobs", authorization="Bearer wrong").status == 401
    assert service.upload(batch(), **KEY).status == 202


@pytest.mark.long
@pytest.mark.parametrize("name", REFUSING)
async def test_writes_are_refused_in_words_and_leave_nothing_behind(
    make_service: Callable[..., Service], own_store: EmbeddedStore, own_redis: Redis, name: str
) -> None:
    service = make_service(redis_url=own_store.url)
    job_id, _ = await _finished_job(service, own_redis)
    running = service.upload(batch()).text("job_id")
    assert service.get("health/ready").status == 200  # the writes are known to be taken, for a while
    kept, keys = service.stored(), sorted(await own_redis.keys())
    with in_condition(own_store, name):
        answers = [
            service.upload(batch(3)),  # refused when the job is made: nobody has asked since
            service.upload(batch(3), idempotency_key="k"),
            service.post(f"jobs/{running}/cancel"),
            service.send("DELETE", f"{BASE}/jobs/{job_id}"),
            service.post("admin/queues/model_generation/pause"),
        ]
        assert service.get("health/ready").body["status"] == "degraded"  # a refusal is known at once
        answers.append(service.upload(batch(3)))
        for answer in answers:
            assert (answer.status, answer.code) == (503, "store_unavailable")
            assert WORDS[name] in answer.text("detail")
            assert int(answer.headers["retry-after"]) > 0
        assert service.stored() == kept
    assert service.upload(batch(3), idempotency_key="k").status == 202
    assert set(keys) <= set(await own_redis.keys())


async def test_batch_is_refused_before_its_pictures_have_travelled(
    make_service: Callable[..., Service], own_store: EmbeddedStore
) -> None:
    service = make_service(redis_url=own_store.url)
    with in_condition(own_store, "out_of_memory"):
        with service.address.connect() as raw:
            raw.sendall(
                f"POST {BASE}/upload/batch HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
                "Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode()
            )
            raw.sendall(bytes(1_000_000))
            assert raw.recv(12) == b"HTTP/1.1 503"
        assert service.stored() == []


async def test_process_starts_while_the_store_takes_no_writes(
    make_service: Callable[..., Service], own_store: EmbeddedStore, own_redis: Redis
) -> None:
    first = make_service(redis_url=own_store.url)
    job_id, image_id = await _finished_job(first, own_redis)
    link = first.get(f"download/{job_id}/{image_id}").headers["location"]
    with in_condition(own_store, "out_of_memory"):
        second = make_service(redis_url=own_store.url)
        assert second.get("health/ready").body["status"] == "degraded"
        assert second.get(link).status == 200


async def test_secrets_that_a_person_chose_are_not_free_to_guess(
    make_service: Callable[..., Service], own_store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "GUESSES", (100, 3600))  # none comes back while a busy machine guesses
    service = make_service(
        redis_url=own_store.url, auth="keys", admin_key=ADMIN, metrics_token="a-token-of-the-settings"
    )
    with in_condition(own_store, "out_of_memory"):
        guesses = [service.get("jobs", authorization=f"Bearer guess-{n}").status for n in range(110)]
        assert guesses.count(401) == 100
        assert guesses[-1] == 429
        assert service.get("jobs", **KEY).status == 429
        assert service.get("/metrics", authorization="Bearer guess").status == 429


@pytest.mark.long
def test_loading_store_is_unready_and_says_so(make_service: Callable[..., Service], tmp_path: Path) -> None:
    """A process cannot start then, so its store restarts."""
    (port,) = free_ports(1)
    with server_on(port):
        service = make_service(redis_url=f"redis://127.0.0.1:{port}/0")
        assert _redis_check(service.get("health/ready"))[0]
    with loading_store(tmp_path / "loading", port):
        ready = service.get("health/ready")
        assert (ready.status, ready.body["status"]) == (503, "unready")
        # on a busy machine the first answers of a server that loads may come too late
        wait_until(lambda: WORDS["loading"] in _redis_check(service.get("health/ready"))[1], timeout=20)
        refused = service.upload(batch())
        assert (refused.status, refused.code) == (503, "store_unavailable")
        wait_until(lambda: WORDS["loading"] in service.upload(batch()).text("detail"), timeout=20)


def test_hanging_store_is_unready_within_the_deadline(
    make_service: Callable[..., Service], own_store: EmbeddedStore
) -> None:
    service = make_service(redis_url=own_store.url)
    with in_condition(own_store, "away"):
        ready = service.get("health/ready")
        assert (ready.status, ready.body["status"]) == (503, "unready")
        assert WORDS["away"] in _redis_check(ready)[1]
        assert service.get("health/live").status == 200
