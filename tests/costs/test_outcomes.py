"""After all that can become of a picture, every place that shows money says the same, to the micro-dollar."""

import asyncio
import io
import json
import re
import signal
import zipfile
from typing import Any

import pytest

from image2model.access import accounts
from image2model.access.accounts import Allowance
from image2model.events import history
from image2model.generation.loading import load
from image2model.store.keys import key
from tests.costs.conftest import PRICE, World
from tests.support.callers import Caller
from tests.support.served_api import batch
from tests.support.wait import until

pytestmark = pytest.mark.long

MODEL = "tripo3d/tripo/v2.5/image-to-3d"


def micro(usd: object) -> int:
    assert isinstance(usd, int | float)
    return round(usd * 1_000_000)


async def run(world: World, caller: Caller, **fields: str) -> dict[str, Any]:
    """One picture, run to its end."""
    return await world.ended(caller, caller.upload(batch(1, **fields)).text("job_id"))


async def run_with(
    world: World, caller: Caller, kind: str, count: int = 1, *, units: float | None = None
) -> dict[str, Any]:
    """The same under a fault of FAL's; `units`: what it says that it bills."""
    world.fleet.emulator.fault(kind, count=count)
    return await run_billed(world, caller, units)


async def run_billed(world: World, caller: Caller, units: float | None) -> dict[str, Any]:
    """One picture for so many units."""
    if units is not None:
        world.fleet.emulator.fault("billable_units", count=1, value=units)
    return await run(world, caller, no_cache="true")


async def again(world: World, caller: Caller, job: dict[str, Any]) -> dict[str, Any]:
    """The job after a retry."""
    assert caller.post(f"jobs/{job['job_id']}/retry").status == 202
    return await world.ended(caller, job["job_id"])


async def late_result(world: World, caller: Caller) -> dict[str, Any]:
    """The reply is lost, the picture is run again, and then FAL tells of the first result as well."""
    emulator = world.fleet.emulator
    emulator.settings(concurrency=0)
    emulator.fault("lookup_blind", rate=1)
    job = await run_with(world, caller, "drop_after_accept")
    assert job["images"][0]["error"]["code"] == "submission_unconfirmed"
    assert job["images"][0]["cost_usd"] is None
    assert caller.post(f"jobs/{job['job_id']}/retry").status == 202
    emulator.settings(concurrency=100)
    job_id = job["job_id"]

    async def both_booked() -> bool:
        found = caller.get(f"status/{job_id}").body
        return found["finished_at"] is not None and micro(found["cost_usd"]) == 2 * PRICE

    await until(both_booked, timeout=60)
    return caller.get(f"status/{job_id}").body


async def deleted(world: World, caller: Caller) -> None:
    """A job that is deleted while FAL has it, and which FAL finishes all the same."""
    world.fleet.emulator.fault("cancel_ignored", count=1)
    job_id = caller.upload(batch(no_cache="true")).text("job_id")
    image_id = caller.get(f"status/{job_id}").items("images")[0]["image_id"]

    async def at_fal() -> bool:
        return (await load(world.fleet.redis, str(image_id))).request is not None

    await until(at_fal)
    assert caller.send("DELETE", f"jobs/{job_id}").status == 204

    async def gone() -> bool:
        return not await world.fleet.redis.exists(key("job", job_id))

    await until(gone, timeout=60)


async def test_every_place_agrees_after_a_mix_of_outcomes(world: World) -> None:
    silent = world.start_worker(webhooks=False)  # else FAL's webhook brings a result that is gone
    ann = world.caller(budget="100.00/month")
    told = [
        (await run(world, ann), "succeeded", PRICE, False),
        (await run(world, ann), "succeeded", 0, False),  # the same picture again
        (await run_with(world, ann, "unknown_format"), "succeeded", PRICE, False),
        (await run_billed(world, ann, 3), "succeeded", 3 * PRICE, False),
        (await run_billed(world, ann, 0.1), "succeeded", PRICE, True),
        (await run_with(world, ann, "result_expired"), "failed", PRICE, True),
        (await run_with(world, ann, "model_missing"), "failed", PRICE, False),
        (await run_with(world, ann, "result_error"), "failed", PRICE, False),
        (await run_with(world, ann, "422"), "failed", PRICE, True),
        (await run_with(world, ann, "422", units=0), "failed", 0, False),
        (await run_with(world, ann, "422", units=1), "failed", PRICE, False),
        (await run_with(world, ann, "500", 3), "failed", None, False),
        (await run_with(world, ann, "500", 1), "succeeded", PRICE, False),
        (await again(world, ann, await run_with(world, ann, "model_missing")), "succeeded", 2 * PRICE, False),
    ]
    silent.send(signal.SIGTERM)
    await silent.exit_code()
    world.start_worker()
    told.append((await late_result(world, ann), "succeeded", 2 * PRICE, True))
    await deleted(world, ann)
    images = [job["images"][0] for job, *_ in told]
    shown = [
        (one["status"], None if one["cost_usd"] is None else micro(one["cost_usd"]), one["cost_uncertain"])
        for one in images
    ]
    assert shown == [tuple(expected) for _, *expected in told]
    for job, status, cost, _ in told:
        assert micro(job["cost_usd"]) == (cost or 0)
        if status == "succeeded":
            assert manifest_costs(ann, job["job_id"]) == [cost, cost]
    of_jobs = sum(cost or 0 for _, _, cost, _ in told)
    whole = of_jobs + PRICE  # with the deleted one
    stats = world.admin.get("admin/stats")
    assert micro(stats.body["total_cost_usd"]) == whole
    assert sum(micro(row["cost_usd"]) for row in stats.items("spending")) == whole
    usage = await accounts.usage(world.fleet.redis, ann.owner, Allowance(key="", max_queued=1, budget=None))
    assert (usage.unfinished, usage.spent, usage.reserved) == (0, whole, 0)
    assert sum(micro(job["cost_usd"]) for job in ann.get("jobs?limit=100").items("jobs")) == of_jobs
    assert counted(world) == whole
    ends = await last_words(world, [job["job_id"] for job, *_ in told])
    assert ends == [cost or 0 for _, _, cost, _ in told]


def manifest_costs(caller: Caller, job_id: str) -> list[int]:
    content = caller.get(f"download/{job_id}/archive.zip").content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    return [micro(manifest["cost_usd"]), micro(manifest["images"][0]["cost_usd"])]


def counted(world: World) -> int:
    """The counter over all processes."""
    text = world.service.get("/metrics").content.decode()
    found = re.findall(rf'^image2model_fal_cost_usd_total{{model="{MODEL}"}} (\S+)$', text, re.MULTILINE)
    assert len(found) == 1
    return micro(float(found[0]))


async def last_words(world: World, job_ids: list[str]) -> list[int]:
    """The cost in the last `complete` of each job's stream."""
    ends = [(await history.of_job(world.fleet.redis, job_id, 0))[-1].body for job_id in job_ids]
    return [end.job.cost_micro for end in ends if isinstance(end, history.JobCompleted)]


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        ("unknown_format", {"succeeded"}),
        ("model_missing", {"succeeded", "failed"}),
        ("result_expired", {"succeeded", "failed"}),
    ],
)
async def test_budget_of_ten_buys_ten_and_books_ten_whatever_becomes_of_the_results(
    world: World, kind: str, statuses: set[str]
) -> None:
    """Every third result is none that a user has asked for."""
    world.start_worker(webhooks=False)
    ann = world.caller(budget="3.00/total")
    accepted: list[str] = []
    refused = 0
    while refused < 3:
        world.fleet.emulator.fault(kind, count=1)
        answers = [ann.upload(batch(no_cache="true")) for _ in range(3)]
        assert {answer.status for answer in answers} <= {202, 402}
        new = [answer.text("job_id") for answer in answers if answer.status == 202]
        refused = len(answers) - len(new)
        await asyncio.gather(*(world.ended(ann, job_id) for job_id in new))
        accepted += new
    assert len(accepted) == 10
    ended = [ann.get(f"status/{job_id}").body for job_id in accepted]
    assert {job["status"] for job in ended} == statuses
    failed = [job["job_id"] for job in ended if job["status"] == "failed"]
    assert {ann.post(f"jobs/{job_id}/retry").status for job_id in failed} <= {402}
    assert len(world.fleet.emulator.submissions()) == 10
    assert micro(world.admin.get("admin/stats").body["total_cost_usd"]) == 10 * PRICE
    assert sum(micro(job["cost_usd"]) for job in ended) == 10 * PRICE == counted(world)


async def test_units_that_exceed_a_budget_are_booked_and_counted_as_its_overrun(world: World) -> None:
    world.start_worker()
    ann = world.caller(budget="0.60/total")
    job = await run_billed(world, ann, 5)
    assert micro(job["cost_usd"]) == 5 * PRICE
    assert ann.upload(batch(no_cache="true")).status == 402
    text = world.service.get("/metrics").content.decode()
    (overrun,) = re.findall(r"^image2model_budget_overrun_usd_total (\S+)$", text, re.MULTILINE)
    assert micro(float(overrun)) == 5 * PRICE - 600_000


@pytest.mark.parametrize(("budget", "bought"), [("0.30/total", 1), ("0.60/total", 2)])
async def test_second_submit_of_a_lost_one_needs_room_for_both(
    world: World, budget: str, bought: int
) -> None:
    world.start_worker(I2M_ON_UNCONFIRMED="resubmit", I2M_MAX_ATTEMPTS="2")
    emulator = world.fleet.emulator
    emulator.settings(concurrency=0)
    emulator.fault("lookup_blind", rate=1)
    emulator.fault("drop_after_accept", rate=1)
    ann = world.caller(budget=budget)
    job = await run(world, ann, no_cache="true")
    assert job["images"][0]["error"]["code"] == "submission_unconfirmed"
    assert len(emulator.submissions()) == bought
    assert ann.upload(batch(no_cache="true")).status == 402
    emulator.settings(concurrency=100)  # FAL generates, and its webhooks tell

    async def all_booked() -> bool:
        return micro(ann.get(f"status/{job['job_id']}").body["cost_usd"]) == bought * PRICE

    await until(all_booked, timeout=60)
    assert micro(world.admin.get("admin/stats").body["total_cost_usd"]) == bought * PRICE
    assert ann.upload(batch(no_cache="true")).status == 402
