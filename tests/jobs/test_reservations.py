"""An upload is admitted, made and no longer reserved, in three steps.

A process that dies between two of them leaves nothing that is counted twice, counted for ever or lost.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from image2model.access import accounts
from image2model.access.accounts import AddressCap, Allowance, Usage
from image2model.access.keys import Budget
from image2model.errors import BudgetExceeded, IdempotencyConflict, IdempotencyInProgress, QueueFull
from image2model.jobs import idempotency, lists, records, reservations
from image2model.jobs.idempotency import AcceptedResponse, Reservation
from image2model.jobs.new_jobs import NewJob
from image2model.jobs.records import IdempotencyRecord
from image2model.operations import housekeeping
from image2model.store.arq_keys import queue_key
from image2model.store.connection import command, connect
from image2model.store.job_reads import job_version
from image2model.store.keys import key
from image2model.store.scripts import Script
from tests.support.fixtures import MakeJob
from tests.support.fleet import Fleet
from tests.support.gate import Hold, calls, gate_to
from tests.support.jobs import new_job

PRICE = 100
MODEL = "tripo3d/tripo/v2.5/image-to-3d"
ALLOWANCE = Allowance(
    key="", max_queued=5, budget=Budget(500, "total"), address=AddressCap("192.0.2.1", max_queued=5)
)
NOTHING = Usage(0, 0, 0, 0)


def three_images() -> NewJob:
    return new_job(3, "ann", model=MODEL, unit_micro=PRICE, metadata={"sku": "A"})


async def used(redis: Redis) -> Usage:
    return await accounts.usage(redis, "ann", ALLOWANCE)


async def made_old(redis: Redis, job: NewJob) -> None:
    """As if the reservation had been made long ago."""
    await command(redis, "ZADD", key("reservations"), 1000, job.job_id)


async def made_older(redis: Redis, job: NewJob, seconds: int) -> None:
    """As if so much time had passed since the reservation was made."""
    assert await command(redis, "ZADD", key("reservations"), "XX", "CH", "INCR", -1000 * seconds, job.job_id)


async def under_key(redis: Redis) -> Reservation:
    """A key as a process holds it that has died since."""
    token = "reserved:dead"
    await command(redis, "SET", key("idempotency", "ann", "once"), token, "PX", idempotency.RESERVED_MS)
    return Reservation(("ann", "once"), token)


def record_of(job: NewJob, reservation: Reservation) -> IdempotencyRecord:
    return IdempotencyRecord(
        key=reservation.key,
        token=reservation.token,
        value=idempotency.encode(AcceptedResponse("f", job.job_id)),
        ttl_ms=idempotency.KEPT_MS,
        pending=idempotency.pending(job.job_id),
    )


@asynccontextmanager
async def process_that_dies(
    redis: Redis, redis_url: str, job: NewJob, script: str, *, answer: bool
) -> AsyncIterator[Hold]:
    """One that makes the job and dies at the call of `script`: before it, or with `answer` right after it."""
    record = record_of(job, await under_key(redis))
    await command(redis, "SCRIPT", "LOAD", Script(script).load())
    async with gate_to(redis_url) as gate, connect(f"redis://127.0.0.1:{gate.port}") as client:
        hold = gate.hold(calls(script), answer=answer)
        making = asyncio.create_task(records.create_all(client, [job], record, ALLOWANCE))
        async with asyncio.timeout(30):
            await hold.reached.wait()
        making.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await making
        yield hold


DIED = [
    pytest.param("jobs/reserve_jobs", True, False, id="after it was admitted"),
    pytest.param("jobs/create_job", False, False, id="before its jobs were made"),
    pytest.param("jobs/create_job", True, True, id="after its jobs were made"),
    pytest.param("jobs/end_reservation", False, True, id="before its reservation ended"),
]


@pytest.mark.parametrize(("script", "answer", "made"), DIED)
async def test_process_that_dies_leaves_what_counts_once(
    redis: Redis, redis_url: str, script: str, answer: bool, made: bool
) -> None:
    job = three_images()
    async with process_that_dies(redis, redis_url, job, script, answer=answer):
        assert await used(redis) == Usage(3, 0, 3 * PRICE, 3)
        assert await reservations.settle_abandoned(redis) == 0  # it may be a process that is just slow
        await made_old(redis, job)
        assert await reservations.settle_abandoned(redis) == 1
        assert await used(redis) == (Usage(3, 0, 3 * PRICE, 3) if made else NOTHING)
        assert (await job_version(redis, job.job_id) is not None) == made
        assert await reservations.settle_abandoned(redis) == 0
        assert await redis.exists(key("owner_reservations", "ann"), key("reservation", job.job_id)) == 0


async def repeated(redis: Redis) -> Reservation | AcceptedResponse | None:
    """What the next request with the key finds. Raises IdempotencyInProgress."""
    async with idempotency.reserved(redis, "ann", "once") as found:
        return found


@pytest.mark.parametrize(("script", "answer", "made"), DIED)
async def test_next_request_with_its_idempotency_key_finds_out_what_became_of_it(
    redis: Redis, redis_url: str, script: str, answer: bool, made: bool
) -> None:
    job = three_images()
    async with process_that_dies(redis, redis_url, job, script, answer=answer):
        if not made:
            await made_older(redis, job, 10)
            with pytest.raises(IdempotencyInProgress):  # it may be a process that is just slow
                await repeated(redis)
            await made_older(redis, job, 5)
        found = await repeated(redis)
        assert found == AcceptedResponse("f", job.job_id) if made else isinstance(found, Reservation)
        assert await reservations.settle_abandoned(redis) == 0
        assert await used(redis) == (Usage(3, 0, 3 * PRICE, 3) if made else NOTHING)


@pytest.mark.parametrize("by", ["reconciler", "next request"])
async def test_creation_that_comes_after_it_was_settled_makes_nothing(
    redis: Redis, redis_url: str, by: str
) -> None:
    job = three_images()
    async with process_that_dies(redis, redis_url, job, "jobs/create_job", answer=False) as hold:
        await made_old(redis, job)
        await (reservations.settle_abandoned(redis) if by == "reconciler" else repeated(redis))
        hold.release()
        late = await Script("jobs/create_job").packed(
            redis, "ann", [(job.job_id, [], [], False, PRICE, [])], [10], False, 1, []
        )
        assert late == 0
    assert await job_version(redis, job.job_id) is None
    assert await used(redis) == NOTHING


async def test_what_is_reserved_cannot_be_spent_twice(redis: Redis, redis_url: str) -> None:
    job = three_images()
    async with process_that_dies(redis, redis_url, job, "jobs/create_job", answer=False):
        with pytest.raises(QueueFull):
            await records.create(redis, three_images(), None, ALLOWANCE)
        rich = Allowance(key="", max_queued=50, budget=Budget(500, "total"))
        with pytest.raises(BudgetExceeded):
            await records.create(redis, three_images(), None, rich)
        other_key = Allowance(key="", max_queued=50, budget=None, address=ALLOWANCE.address)
        with pytest.raises(QueueFull):
            await records.create(redis, new_job(3, "bob", model=MODEL), None, other_key)


async def test_repetition_of_each_step_changes_nothing(redis: Redis) -> None:
    job = three_images()
    terms = ("ann", [(job.job_id, 3, False, job.tokens)], 3 * PRICE, False, accounts.script_terms(ALLOWANCE))
    first = await reservations.reserve(redis, job.job_id, *terms)
    assert await reservations.reserve(redis, job.job_id, *terms) == first
    assert await used(redis) == Usage(3, 0, 3 * PRICE, 3)
    await records.create(redis, job, None, ALLOWANCE)
    again = ("ann", [(job.job_id,)], first.scores, False, first.at, ())
    assert await Script("jobs/create_job").packed(redis, *again) == 1
    await reservations.end(redis, job.job_id, made=True)
    assert await used(redis) == Usage(3, 0, 3 * PRICE, 3)


@pytest.mark.long
@pytest.mark.also_on_cluster
async def test_reconciler_settles_what_dead_processes_left(fleet: Fleet, redis_url: str) -> None:
    job = three_images()
    async with process_that_dies(fleet.redis, redis_url, job, "jobs/create_job", answer=False):
        await made_old(fleet.redis, job)
        fleet.start_worker()
        async with asyncio.timeout(60):
            while await used(fleet.redis) != NOTHING:
                await asyncio.sleep(0.05)


async def test_beside_processes_of_version_4_everything_is_one_step(redis: Redis) -> None:
    await command(redis, "HSET", key("store"), "id", "0123456789abcdef", "version", 4)
    job, other = three_images(), three_images()
    record = record_of(job, await under_key(redis))
    for _ in range(2):  # as a connection does that lost the first reply
        await records.create(redis, job, record, ALLOWANCE)
    assert await used(redis) == Usage(3, 0, 3 * PRICE, 3)
    assert not [name async for name in redis.scan_iter("*reservation*")]
    async with idempotency.reserved(redis, "ann", "once") as found:
        assert found == AcceptedResponse("f", job.job_id)
    with pytest.raises(QueueFull):
        await records.create(redis, other, None, ALLOWANCE)
    await command(redis, "HSET", key("store"), "version", 5)
    with pytest.raises(QueueFull):
        await records.create(redis, other, None, ALLOWANCE)


async def test_refusal_reserves_and_lists_nothing(redis: Redis) -> None:
    with pytest.raises(QueueFull):
        await records.create(redis, new_job(6, "ann", model=MODEL, metadata={"sku": "A"}), None, ALLOWANCE)
    assert await used(redis) == NOTHING
    assert (
        await redis.exists(key("reservations"), key("owner_jobs", "ann"), key("owner_metadata", "ann")) == 0
    )


async def test_key_that_was_lost_meanwhile_refuses(redis: Redis) -> None:
    job = three_images()
    record = record_of(job, Reservation(("ann", "once"), "reserved:other"))
    with pytest.raises(IdempotencyConflict):
        await records.create(redis, job, record, ALLOWANCE)
    assert await used(redis) == NOTHING


async def test_entries_of_a_job_that_was_never_made_go_but_not_while_it_may_be(
    redis: Redis, redis_url: str
) -> None:
    job = three_images()
    async with process_that_dies(redis, redis_url, job, "jobs/create_job", answer=False):
        assert await housekeeping.prune_owners(redis) == 0
        assert await housekeeping.prune_owners(redis, older_than_s=0) == 2
    assert lists.read_entry("0123456789abcdef" + "0000000001000" + job.job_id) == (1000, job.job_id)


async def test_images_take_their_places_behind_each_other(redis: Redis, make_job: MakeJob) -> None:
    first, second = await make_job(2), await make_job(2)
    queued = await redis.zrange(queue_key("model_generation"), 0, -1, withscores=True)
    ids = [image.image_id for job in (first, second) for image in job.images]
    assert [name.decode() for name, _ in queued] == ids
    assert len({score for _, score in queued}) == 4
