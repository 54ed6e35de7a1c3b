"""The cap on unfinished images of an address: exact over its keys, free again whatever becomes of them."""

import http.client
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from redis.asyncio import Redis

from image2model.jobs import records
from image2model.operations import backup, restore
from image2model.store.connection import command
from image2model.store.keys import key
from tests.access.conftest import MakeCaller
from tests.support import worker_steps
from tests.support.callers import Caller
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.served_api import Service, batch

HERE = "127.0.0.1"
ELSEWHERE = "127.0.0.2"
FAST = "100000/min"


async def counted(redis: Redis) -> dict[str, int]:
    """Unfinished images by address."""
    row = await command(redis, "HGETALL", key("addresses"))
    return {name.decode(): int(count) for name, count in row.items()}


async def nothing_is_left(redis: Redis) -> bool:
    """Neither a number nor an address."""
    return not await redis.exists(key("addresses"), key("origins"))


def status_from(address: str, caller: Caller, path: str, body: Body | None = None) -> int:
    """The status of a POST that comes from another address of this machine."""
    connection = http.client.HTTPConnection(
        caller.service.address.host, caller.service.address.port, timeout=30, source_address=(address, 0)
    )
    try:
        headers = {"Authorization": f"Bearer {caller.key}", "Content-Type": CONTENT_TYPE}
        connection.request("POST", f"/api/v1/{path}", bytes(body) if body else None, headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.long
async def test_thirty_uploads_at_once_with_two_keys_fill_the_address_exactly(
    make_service: Callable[..., Service], make_caller: MakeCaller, redis: Redis
) -> None:
    sides = [make_service(address_max_queued="7", max_queued="7") for _ in range(2)]
    callers = [await make_caller(name, rate=FAST) for name in ("ann", "bob")]
    with ThreadPoolExecutor(30) as pool:
        for _ in range(5):
            asked = [callers[n % 2].on(sides[n // 2 % 2]) for n in range(30)]
            answers = list(pool.map(lambda one: one.upload(batch(no_cache="true")), asked))
            assert sorted(answer.status for answer in answers) == [202] * 7 + [429] * 23
            assert {answer.code for answer in answers if answer.status == 429} == {"queue_full"}
            assert await counted(redis) == {HERE: 7}
            for claim in await worker_steps.claim(redis, 100):
                await worker_steps.fail(redis, claim)
            assert await nothing_is_left(redis)


@pytest.mark.also_on_cluster
async def test_full_address_is_told_before_the_body_is_read(
    make_service: Callable[..., Service], make_caller: MakeCaller
) -> None:
    service = make_service(address_max_queued="2", max_queued="2")
    ann, bob = [(await make_caller(name)).on(service) for name in ("ann", "bob")]
    assert ann.upload(batch(2)).status == 202
    with service.address.connect() as sock:
        head = (
            "POST /api/v1/upload/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n"
            f"Content-Type: multipart/form-data; boundary=b\r\nAuthorization: Bearer {bob.key}\r\n\r\n"
        )
        sock.sendall(head.encode() + b"x" * 5_000_000)
        answer = sock.recv(4096).decode().lower()
    assert answer.startswith("http/1.1 429")
    assert "retry-after: 30" in answer
    refused = bob.upload(batch())
    assert refused.code == "queue_full"
    assert "Your address may have 2 unfinished images" in refused.text("detail")
    assert status_from(ELSEWHERE, bob, "upload/batch", batch()) == 202


async def test_batch_that_is_larger_than_what_is_left_is_refused_whole(
    make_service: Callable[..., Service], make_caller: MakeCaller, redis: Redis
) -> None:
    service = make_service(address_max_queued="3", max_queued="3")
    ann, bob = [(await make_caller(name)).on(service) for name in ("ann", "bob")]
    assert ann.upload(batch(2)).status == 202
    refused = bob.upload(batch(2))
    assert (refused.status, refused.code) == (429, "queue_full")
    assert await counted(redis) == {HERE: 2}
    assert bob.upload(batch(1)).status == 202


async def test_key_that_may_have_more_is_not_held_to_its_address(
    make_service: Callable[..., Service], make_caller: MakeCaller, redis: Redis
) -> None:
    service = make_service(address_max_queued="2", max_queued="2")
    big, ann = (await make_caller("big", max_queued=3)).on(service), (await make_caller()).on(service)
    assert big.upload(batch(3)).status == 202
    assert await nothing_is_left(redis)
    assert ann.upload(batch(2)).status == 202
    assert await counted(redis) == {HERE: 2}


async def test_nothing_is_counted_without_keys(
    make_open_service: Callable[..., Service], redis: Redis
) -> None:
    service = make_open_service(address_max_queued="1")
    assert service.upload(batch(3)).status == 202
    assert await nothing_is_left(redis)


async def cancelled(caller: Caller, job_id: str, _redis: Redis, _files: Path) -> None:
    assert caller.post(f"jobs/{job_id}/cancel").status == 202


async def deleted(caller: Caller, job_id: str, redis: Redis, _files: Path) -> None:
    assert caller.send("DELETE", f"jobs/{job_id}").status == 204
    await records.erase(redis, job_id)


async def failed(_caller: Caller, _job_id: str, redis: Redis, _files: Path) -> None:
    for claim in await worker_steps.claim(redis, 2):
        await worker_steps.fail(redis, claim)


async def succeeded(_caller: Caller, job_id: str, redis: Redis, files: Path) -> None:
    for claim in await worker_steps.claim(redis, 2):
        await worker_steps.succeed(redis, claim, job_id, files.as_uri())


async def erased_while_unfinished(_caller: Caller, job_id: str, redis: Redis, _files: Path) -> None:
    await records.erase(redis, job_id)


End = Callable[[Caller, str, Redis, Path], Awaitable[None]]
ENDS: list[End] = [cancelled, deleted, failed, succeeded, erased_while_unfinished]


@pytest.mark.parametrize("end", ENDS)
async def test_every_end_of_an_image_makes_room_again(
    make_caller: MakeCaller, redis: Redis, tmp_path: Path, end: End
) -> None:
    ann = await make_caller()
    job_id = ann.upload(batch(2)).text("job_id")
    assert await counted(redis) == {HERE: 2}
    await end(ann, job_id, redis, tmp_path / "files")
    assert await nothing_is_left(redis)


async def test_retry_counts_for_the_address_that_asks_for_it(
    make_service: Callable[..., Service], make_caller: MakeCaller, redis: Redis, tmp_path: Path
) -> None:
    service = make_service(address_max_queued="2", max_queued="2")
    ann, bob = [(await make_caller(name)).on(service) for name in ("ann", "bob")]
    job_id = ann.upload(batch(2)).text("job_id")
    await failed(ann, job_id, redis, tmp_path)
    assert bob.upload(batch(1)).status == 202
    refused = ann.post(f"jobs/{job_id}/retry")
    assert (refused.status, refused.code) == (429, "queue_full")
    assert await counted(redis) == {HERE: 1}
    assert status_from(ELSEWHERE, ann, f"jobs/{job_id}/retry") == 202
    assert await counted(redis) == {HERE: 1, ELSEWHERE: 2}
    for claim in await worker_steps.claim(redis, 3):
        await worker_steps.fail(redis, claim)
    assert await nothing_is_left(redis)


async def test_replay_by_an_admin_counts_for_no_address(
    admin: Caller, make_caller: MakeCaller, redis: Redis, tmp_path: Path
) -> None:
    ann = await make_caller()
    job_id = ann.upload(batch(2)).text("job_id")
    await failed(ann, job_id, redis, tmp_path)
    assert admin.post("admin/dead/replay", b'{"all": true}').body["replayed"] == 2
    assert await nothing_is_left(redis)
    assert ann.upload(batch(1)).status == 202
    await succeeded(ann, job_id, redis, tmp_path / "files")
    await failed(ann, job_id, redis, tmp_path)
    assert await nothing_is_left(redis)


async def test_backup_knows_no_address_and_a_restored_job_counts_for_none(
    make_caller: MakeCaller, redis: Redis
) -> None:
    ann = await make_caller()
    job_id = ann.upload(batch(2)).text("job_id")
    saved = [record async for record in backup.records(redis)]
    assert HERE.encode() not in msgspec.msgpack.encode(saved)
    await redis.flushdb()
    await restore.write(redis, saved, shift_ms=0)
    assert await restore.fail_unfinished(redis, job_id) == 2
    await restore.reset_accounts(redis, [key("account", ann.owner)])
    assert await nothing_is_left(redis)
    assert ann.post(f"jobs/{job_id}/retry").status == 202
    assert await counted(redis) == {HERE: 2}
    await cancelled(ann, job_id, redis, Path())
    assert await nothing_is_left(redis)
