"""Budgets and queue caps: exact, whoever asks at the same time, and whatever becomes of the images."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis.asyncio import Redis

from image2model.access import accounts
from image2model.access.accounts import Allowance, Usage
from image2model.access.keys import digest
from image2model.operations import restore
from image2model.store.keys import key
from tests.access.conftest import MakeCaller
from tests.support import worker_steps
from tests.support.callers import Caller
from tests.support.multipart_body import CONTENT_TYPE
from tests.support.served_api import Service, batch

PRICE = 300_000
FAST = "100000/min"


async def used(redis: Redis, caller: Caller) -> Usage:
    return await accounts.usage(redis, caller.owner, Allowance(key="", max_queued=1, budget=None))


@pytest.mark.long
async def test_fifty_uploads_at_once_pay_for_exactly_ten_twenty_times(
    make_service: Callable[..., Service], make_caller: MakeCaller, redis: Redis
) -> None:
    other = make_service()
    body = batch(no_cache="true")
    with ThreadPoolExecutor(50) as pool:
        for round_number in range(20):
            ann = await make_caller(f"ann{round_number}", budget="3.00/month", rate=FAST)
            sides = [ann if n % 2 else ann.on(other) for n in range(50)]
            answers = list(pool.map(lambda side: side.upload(body), sides))
            assert sorted(answer.status for answer in answers) == [202] * 10 + [402] * 40
            assert {answer.code for answer in answers if answer.status == 402} == {"budget_exceeded"}
            assert await used(redis, ann) == Usage(10, 0, 10 * PRICE)
    for claim in await worker_steps.claim(redis, 1000):
        await worker_steps.fail(redis, claim)


@pytest.mark.also_on_cluster
async def test_success_is_settled_and_failure_and_cancel_set_free(
    make_caller: MakeCaller, redis: Redis, tmp_path: Path
) -> None:
    ann = await make_caller(budget="0.90/total")
    job_id = ann.upload(batch(3)).text("job_id")
    assert await used(redis, ann) == Usage(3, 0, 3 * PRICE)
    refused = ann.upload(batch())
    assert (refused.status, refused.code) == (402, "budget_exceeded")
    assert "$0.00 of $0.90" in refused.text("detail")
    good, bad = (await worker_steps.claim(redis, 3))[:2]
    await worker_steps.succeed(redis, good, job_id, (tmp_path / "files").as_uri())
    await worker_steps.fail(redis, bad)
    assert await used(redis, ann) == Usage(1, PRICE, PRICE)
    ann.post(f"jobs/{job_id}/cancel")
    assert await used(redis, ann) == Usage(0, PRICE, 0)
    assert ann.upload(batch(2)).status == 202
    assert ann.upload(batch()).status == 402


async def test_retry_needs_room_again(make_caller: MakeCaller, redis: Redis) -> None:
    ann = await make_caller(budget="0.30/day")
    job_id = ann.upload(batch()).text("job_id")
    for claim in await worker_steps.claim(redis):
        await worker_steps.fail(redis, claim)
    other = ann.upload(batch()).text("job_id")
    refused = ann.post(f"jobs/{job_id}/retry")
    assert (refused.status, refused.code) == (402, "budget_exceeded")
    assert ann.get(f"status/{job_id}").body["status"] == "failed"
    ann.post(f"jobs/{other}/cancel")
    assert ann.post(f"jobs/{job_id}/retry", b'{"params": {"texture": "HD"}}').status == 402
    assert ann.post(f"jobs/{job_id}/retry", b'{"params": {"texture": "no"}}').status == 202
    assert await used(redis, ann) == Usage(1, 0, 200_000)


async def test_exhausted_budget_is_told_before_the_body_is_read(
    make_caller: MakeCaller, service: Service
) -> None:
    ann = await make_caller(budget="0.30/month")
    ann.upload(batch())
    with service.address.connect() as sock:
        head = (
            "POST /api/v1/upload/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n"
            f"Content-Type: multipart/form-data; boundary=b\r\nAuthorization: Bearer {ann.key}\r\n\r\n"
        )
        sock.sendall(head.encode() + b"x" * 5_000_000)
        assert sock.recv(64).startswith(b"HTTP/1.1 402")


async def test_lost_answer_is_given_again_although_nothing_is_left(make_caller: MakeCaller) -> None:
    ann = await make_caller(budget="0.30/month", max_queued=1)
    first = ann.upload(batch(), idempotency_key="k1")
    again = ann.upload(batch(), idempotency_key="k1")
    assert (first.status, again.status) == (202, 202)
    assert first.body["job_id"] == again.body["job_id"]


async def test_queue_cap_counts_unfinished_images(make_caller: MakeCaller, redis: Redis) -> None:
    ann = await make_caller(max_queued=3)
    ann.upload(batch(2))
    refused = ann.upload(batch(2))
    assert (refused.status, refused.code) == (429, "queue_full")
    assert int(refused.headers["retry-after"]) > 0
    assert ann.upload(batch(1)).status == 202
    assert ann.upload(batch(1)).code == "queue_full"
    for claim in (await worker_steps.claim(redis, 3))[:2]:
        await worker_steps.fail(redis, claim)
    assert ann.upload(batch(2)).status == 202
    assert (await used(redis, ann)).unfinished == 3


async def test_deleted_job_gives_all_back(make_caller: MakeCaller, redis: Redis) -> None:
    ann = await make_caller(budget="0.30/month")
    job_id = ann.upload(batch()).text("job_id")
    assert ann.send("DELETE", f"jobs/{job_id}").status == 204
    assert await used(redis, ann) == Usage(0, 0, 0)


async def test_model_without_a_price_sets_its_unit_aside_and_pays_it(
    make_caller: MakeCaller, redis: Redis
) -> None:
    ann = await make_caller(budget="0.03/total")
    assert ann.upload(batch(model="fal-ai/sam-3/3d-objects")).status == 202
    assert await used(redis, ann) == Usage(1, 0, 20_000)
    assert ann.upload(batch(model="fal-ai/sam-3/3d-objects")).status == 402


@pytest.mark.parametrize("period", ["day", "month", "total"])
async def test_spending_counts_in_its_period_and_in_the_days_table(
    make_caller: MakeCaller, admin: Caller, redis: Redis, tmp_path: Path, period: str
) -> None:
    ann = await make_caller(budget=f"0.50/{period}")
    job_id = ann.upload(batch()).text("job_id")
    (claim,) = await worker_steps.claim(redis)
    await worker_steps.succeed(redis, claim, job_id, (tmp_path / "files").as_uri())
    assert ann.upload(batch()).status == 402
    seconds, _ = await redis.time()
    day = datetime.fromtimestamp(seconds, UTC).date().isoformat()
    ((spent,),) = await accounts.spent_on(redis, [day])
    assert (spent.owner, spent.model, spent.micro) == (ann.owner, "tripo3d/tripo/v2.5/image-to-3d", PRICE)
    stats = admin.get("admin/stats?days=2")
    (row,) = stats.items("spending")
    assert row == {"day": day, "owner": ann.owner, "keys": ["ann"], "model": spent.model, "cost_usd": 0.3}
    assert ann.get("admin/stats").status == 403
    account = await redis.hgetall(key("account", ann.owner))
    assert (account[b"day"].decode(), account[b"month"].decode()) == (day, day[:7])


async def test_restored_account_holds_nothing_for_what_was_unfinished(
    make_caller: MakeCaller, redis: Redis
) -> None:
    ann = await make_caller(budget="0.90/month")
    job_id = ann.upload(batch(3)).text("job_id")
    await redis.hset(key("account", ann.owner), mapping={"unfinished": 0, "reserved": 0})
    assert await restore.fail_unfinished(redis, job_id) == 3
    assert await used(redis, ann) == Usage(0, 0, 0)
    assert ann.post(f"jobs/{job_id}/retry").status == 202
    assert await used(redis, ann) == Usage(3, 0, 3 * PRICE)


async def test_yesterdays_money_does_not_count_today(make_caller: MakeCaller, redis: Redis) -> None:
    ann = await make_caller(budget="0.30/day")
    old = {"day": "2001-01-01", "day_spent": 900_000, "month": "2001-01", "month_spent": 900_000}
    await redis.hset(key("account", ann.owner), mapping=old)
    assert ann.upload(batch()).status == 202


async def test_revoked_key_makes_no_job_although_its_upload_had_begun(
    make_caller: MakeCaller, admin: Caller, service: Service, redis: Redis
) -> None:
    ann = await make_caller()
    whole = bytes(batch())
    head = (
        f"POST /api/v1/upload/batch HTTP/1.1\r\nHost: x\r\nContent-Length: {len(whole)}\r\n"
        f"Content-Type: {CONTENT_TYPE}\r\nAuthorization: Bearer {ann.key}\r\n\r\n"
    )
    with service.address.connect() as sock:
        sock.sendall(head.encode() + whole[:100])
        async with asyncio.timeout(60):
            while not await redis.hget(key("api_key", digest(ann.key)), "last_used_at"):
                await asyncio.sleep(0.005)
        admin.send("DELETE", f"admin/keys/{ann.key_id}")
        sock.sendall(whole[100:])
        assert sock.recv(64).startswith(b"HTTP/1.1 401")
    assert service.stored() == []
