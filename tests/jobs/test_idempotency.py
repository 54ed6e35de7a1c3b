"""One idempotency key, one job: however often and however closely it is sent."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis.asyncio import Redis

from image2model.store.arq_keys import queue_key
from image2model.store.keys import key
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.served_api import Service, batch
from tests.support.wait import wait_until


async def test_same_request_gets_the_first_answer_again(service: Service, redis: Redis) -> None:
    first = service.upload(batch(2, face_limit="900"), idempotency_key="k")
    service.post(f"jobs/{first.text('job_id')}/cancel")
    again = service.upload(batch(2, face_limit="900"), idempotency_key="k")
    assert (again.status, again.content) == (202, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert len(service.stored()) == 2
    assert 86_000 < await redis.ttl(key("idempotency", "local", "k")) <= 86_400


@pytest.mark.parametrize(
    "other",
    [
        batch(3),
        batch(2, priority="low"),
        Body().file("1.png", b"").text("on_invalid", "skip"),
        batch(1).file("other name.png", bytes(range(10))).text("on_invalid", "skip"),
    ],
    ids=["files", "fields", "no good file", "bad file"],
)
def test_another_request_with_the_key_is_refused(service: Service, other: Body) -> None:
    assert service.upload(batch(2), idempotency_key="k").status == 202
    answer = service.upload(other, idempotency_key="k")
    assert answer.status in {409, 422}
    assert answer.code in {"idempotency_conflict", "not_an_image"}
    assert len(service.stored()) == 2


def test_refusal_frees_the_key(service: Service) -> None:
    assert service.upload(batch(1, model="none"), idempotency_key="k").status == 422
    assert service.upload(batch(1), idempotency_key="k").status == 202


def _head(body: bytes) -> bytes:
    return (
        f"POST /api/v1/upload/batch HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: k\r\n"
        f"Content-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()


async def test_key_of_an_upload_under_way_is_in_progress(service: Service, redis: Redis) -> None:
    body = bytes(batch(1))
    with service.address.connect() as raw:
        raw.sendall(_head(body) + body[:-10])
        while not await redis.exists(key("idempotency", "local", "k")):
            pass
        second = service.upload(batch(1), idempotency_key="k")
        assert (second.status, second.code) == (409, "idempotency_in_progress")
        assert int(second.headers["retry-after"]) > 0
        raw.sendall(body[-10:])
        assert b" 202 " in raw.recv(65536)
    assert service.upload(batch(1), idempotency_key="k").headers["idempotent-replayed"] == "true"


async def test_sender_that_leaves_frees_the_key_and_its_pictures(service: Service, redis: Redis) -> None:
    body = bytes(batch(3))
    with service.address.connect() as raw:
        raw.sendall(_head(body) + body[:-10])
        wait_until(lambda: len(service.stored()) >= 2)
    wait_until(lambda: service.stored() == [])
    while await redis.exists(key("idempotency", "local", "k")):
        pass


@pytest.mark.also_on_cluster
async def test_simultaneous_requests_make_one_job(service: Service, redis: Redis) -> None:
    gate = threading.Barrier(8)

    def send(_: int) -> int:
        gate.wait()
        return service.upload(batch(2), idempotency_key="k").status

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(send, range(8)))
    assert set(statuses) <= {202, 409}
    assert 202 in statuses
    assert await redis.zcard(queue_key("model_generation")) == 2
    assert len(service.stored()) == 2
