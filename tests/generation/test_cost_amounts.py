"""What a worker books at each end of a request, by FAL's units and prices."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from image2model.access.accounts import Allowance
from image2model.access.keys import Budget
from image2model.catalogue import bills
from image2model.domain import FalRequest, ImageStatus
from image2model.fal.gateway import FalGateway
from image2model.fal.hosts import FalHosts
from image2model.generation import costs, loading
from image2model.generation.loading import Task
from image2model.store import job_reads
from image2model.store.keys import key
from image2model.telemetry import metrics
from image2model.worker.process import WorkerContext
from tests.support import jobs
from tests.support.catalogue import refresh
from tests.support.emulator_process import KEY
from tests.support.fleet import Fleet
from tests.support.wait import until

TABLE = 400_000  # its jobs are in HD; FAL's price for a unit is $0.30
Booking = Callable[[WorkerContext, Task, FalRequest], Awaitable[None]]


@pytest.fixture
async def context(fleet: Fleet) -> AsyncIterator[WorkerContext]:
    """A worker's parts, without a worker."""
    async with FalGateway(KEY, FalHosts.at(fleet.emulator.url)) as fal:
        context = WorkerContext(fleet.settings(), fleet.redis, fleet.storage, fal)
        assert await refresh(fleet.redis, fal, context.catalogue)
        yield context
        context.close()


async def at_fal(fleet: Fleet) -> Task:
    """An image with a request."""
    await jobs.make_job(fleet.redis, unit_micro=TABLE)
    (claim,) = await jobs.pick(fleet.redis)
    await jobs.submit(fleet.redis, claim)
    return await loading.load(fleet.redis, claim.task_id)


def result(units: float | None) -> Booking:
    return lambda context, task, request: costs.book_result(context, task, request, units)


def refusal(units: float | None, *, ran: bool) -> Booking:
    return lambda context, task, request: costs.book_refusal(context, task, request, units, ran=ran)


@pytest.mark.long
@pytest.mark.parametrize(
    ("book", "micro", "uncertain"),
    [
        (result(1.0), 300_000, False),
        (result(2.0), 600_000, False),
        (result(None), TABLE, False),
        (result(float("nan")), TABLE, False),
        (result(-1.0), TABLE, False),
        (result(0.5), TABLE, True),
        (result(0.0), TABLE, True),
        (refusal(0.0, ran=True), 0, False),
        (refusal(0.0, ran=False), 0, False),
        (refusal(1.0, ran=True), 300_000, False),
        (refusal(0.1, ran=True), TABLE, True),
        (refusal(None, ran=True), TABLE, True),
        (refusal(None, ran=False), None, False),
        (costs.book_lost, TABLE, True),
    ],
)
async def test_each_end_books_what_is_known_of_it(
    fleet: Fleet, context: WorkerContext, book: Booking, micro: int | None, *, uncertain: bool
) -> None:
    task = await at_fal(fleet)
    assert task.request is not None
    for _ in range(2):
        await book(context, task, task.request)
    (image,) = (await job_reads.read_job(fleet.redis, task.job_id)).images
    assert (image.cost_micro, image.cost_uncertain) == (micro, uncertain)


@pytest.mark.parametrize(("units", "micro"), [(None, None), (0.0, None), (1.0, 300_000)])
async def test_refused_post_costs_nothing_unless_fal_says_so(
    fleet: Fleet, context: WorkerContext, units: float | None, micro: int | None
) -> None:
    job = await jobs.make_job(fleet.redis, unit_micro=TABLE)
    (claim,) = await jobs.pick(fleet.redis)
    await jobs.take_permit(fleet.redis, claim)
    task = await loading.load(fleet.redis, claim.task_id)
    await costs.book_refused_post(context, task, task.attempt_token, units)
    (image,) = (await job_reads.read_job(fleet.redis, job.job_id)).images
    assert image.cost_micro == micro


async def test_first_word_on_a_request_counts_also_for_a_worker_that_lost_the_image(
    fleet: Fleet, context: WorkerContext
) -> None:
    task = await at_fal(fleet)
    assert task.request is not None
    await fleet.redis.hset(key("image", task.image_id), "fence", "another")
    await costs.book_result(context, task, task.request, 1.0)
    await costs.book_lost(context, task, task.request)
    (image,) = (await job_reads.read_job(fleet.redis, task.job_id)).images
    assert (image.cost_micro, image.cost_uncertain, image.status) == (300_000, False, ImageStatus.SUBMITTED)


def count(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.long
@pytest.mark.parametrize(("units", "overrun", "mismatches"), [(1.0, 0.0, 0), (3.0, 0.5, 0), (0.1, 0.0, 1)])
async def test_overrun_of_a_budget_and_units_that_contradict_the_table_are_counted_once(
    fleet: Fleet, context: WorkerContext, units: float, overrun: float, mismatches: int
) -> None:
    allowance = Allowance(key="", max_queued=9, budget=Budget(TABLE, "day"))
    await jobs.make_job(fleet.redis, unit_micro=TABLE, allowance=allowance)
    (claim,) = await jobs.pick(fleet.redis)
    await jobs.submit(fleet.redis, claim)
    task = await loading.load(fleet.redis, claim.task_id)
    assert task.request is not None
    names: tuple[tuple[str, dict[str, str]], ...] = (
        ("image2model_budget_overrun_usd_total", {}),
        ("image2model_cost_mismatch_total", {"model": task.model}),
    )
    before = [count(name, **labels) for name, labels in names]
    for _ in range(2):
        await costs.book_result(context, task, task.request, units)
    rose = [count(name, **labels) - was for (name, labels), was in zip(names, before, strict=True)]
    assert rose == [pytest.approx(overrun), mismatches]


async def test_booking_outlives_an_outage_of_the_store(fleet: Fleet, context: WorkerContext) -> None:
    task = await at_fal(fleet)
    assert task.request is not None
    await fleet.redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        booking = asyncio.create_task(costs.book_result(context, task, task.request, 1.0))
        assert not (await asyncio.wait([booking], timeout=0.3))[0]
    finally:
        await fleet.redis.execute_command("REPLICAOF", "NO", "ONE")
    await booking
    assert (await job_reads.read_job(fleet.redis, task.job_id)).job.cost_micro == 300_000


async def test_booking_waits_for_the_first_prices_and_goes_on_without_them(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right after the very first start: no worker has asked FAL yet."""
    monkeypatch.setattr("image2model.generation.costs._FIRST_PRICES_S", 0.3)
    async with FalGateway(KEY, FalHosts.at(fleet.emulator.url)) as fal:
        context = WorkerContext(fleet.settings(), fleet.redis, fleet.storage, fal)
        task = await at_fal(fleet)
        assert task.request is not None
        async with asyncio.timeout(2):
            await costs.book_result(context, task, task.request, 2.0)
        context.close()
    (image,) = (await job_reads.read_job(fleet.redis, task.job_id)).images
    assert image.cost_micro == TABLE


async def test_what_was_billed_is_noted_beside_the_quote(fleet: Fleet, context: WorkerContext) -> None:
    for _ in range(5):
        task = await at_fal(fleet)
        assert task.request is not None
        for _ in range(2):
            await costs.book_result(context, task, task.request, 2.0)

    async def is_noted() -> bool:
        return await bills.drifts(fleet.redis) != []

    await until(is_noted)
    (drift,) = await bills.drifts(fleet.redis)
    assert (drift.model, drift.bookings) == (task.model, 5)
    assert drift.ratio == pytest.approx(2 * 300_000 / TABLE - 1)
    assert drift.is_large
    assert await bills.mean_cost(fleet.redis) == 600_000


async def test_price_that_nobody_knows_is_booked_as_what_was_set_aside(fleet: Fleet) -> None:
    job = await jobs.make_job(fleet.redis, unit_micro=123_456, model="fal-ai/sam-3/3d-objects")
    (claim,) = await jobs.pick(fleet.redis)
    await jobs.submit(fleet.redis, claim)
    task = await loading.load(fleet.redis, claim.task_id)
    assert task.request is not None
    async with FalGateway(KEY, FalHosts.at(fleet.emulator.url)) as fal:
        context = WorkerContext(fleet.settings(), fleet.redis, fleet.storage, fal)  # FAL was never read
        await costs.book_result(context, task, task.request, None)
        context.close()
    (image,) = (await job_reads.read_job(fleet.redis, job.job_id)).images
    assert (image.cost_micro, image.cost_uncertain) == (123_456, True)
