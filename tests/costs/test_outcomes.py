"""After all that can become of a picture, every place that shows money says the same, to the micro-dollar."""

import asyncio
import io
import json
import re
import zipfile
from typing import Any

import pytest

from image2model.store import accounts, events
from image2model.store.accounts import Allowance
from image2model.store.images import load
from tests.api.conftest import batch
from tests.auth.conftest import Caller
from tests.costs.conftest import PRICE, World
from tests.support.wait import until

MODEL = "tripo3d/tripo/v2.5/image-to-3d"


def micro(usd: object) -> int:
    assert isinstance(usd, int | float)
    return round(usd * 1_000_000)


async def run(world: World, caller: Caller, **fields: str) -> dict[str, Any]:
    """One picture, run to its end."""
    return await world.ended(caller, caller.upload(batch(**fields)).text("job_id"))


async def run_with(world: World, caller: Caller, kind: str, count: int = 1) -> dict[str, Any]:
    """The same under a fault of FAL's."""
    world.fleet.emulator.fault(kind, count=count)
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
        return not await world.fleet.redis.exists(f"i2m:job:{job_id}")

    await until(gone, timeout=60)


async def test_every_place_agrees_after_a_mix_of_outcomes(world: World) -> None:
    world.start_worker()
    ann = world.caller(budget="100.00/month")
    success = await run(world, ann)
    cached = await run(world, ann)
    expired = await run_with(world, ann, "result_expired")
    refused = await run_with(world, ann, "422")
    failed = await run_with(world, ann, "500", 3)
    second = await run_with(world, ann, "500", 1)
    retried = await again(world, ann, await run_with(world, ann, "result_expired"))
    late = await late_result(world, ann)
    await deleted(world, ann)
    told = [success, cached, expired, refused, failed, second, retried, late]
    images = [job["images"][0] for job in told]
    assert [image["status"] for image in images] == ["succeeded"] * 2 + ["failed"] * 3 + ["succeeded"] * 3
    shown = [None if image["cost_usd"] is None else micro(image["cost_usd"]) for image in images]
    assert shown == [PRICE, 0, PRICE, PRICE, None, PRICE, 2 * PRICE, 2 * PRICE]
    uncertain = [image["cost_uncertain"] for image in images]
    assert uncertain == [False, False, True, True, False, False, True, True]
    for job, one in zip(told, shown, strict=True):
        assert micro(job["cost_usd"]) == (one or 0)
        if job["images"][0]["status"] == "succeeded":
            assert manifest_costs(ann, job["job_id"]) == [one, one]
    whole = sum(one or 0 for one in shown) + PRICE
    assert micro(world.admin.get("admin/stats").body["total_cost_usd"]) == whole
    assert sum(micro(row["cost_usd"]) for row in world.admin.get("admin/stats").items("spending")) == whole
    usage = await accounts.usage(world.fleet.redis, ann.owner, Allowance(key="", max_queued=1, budget=None))
    assert (usage.unfinished, usage.spent, usage.reserved) == (0, whole, 0)
    listed = ann.get("jobs?limit=100").items("jobs")
    assert sum(micro(job["cost_usd"]) for job in listed) == whole - PRICE
    assert counted(world) == whole
    assert await last_words(world, [job["job_id"] for job in told]) == [one or 0 for one in shown]


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
    ends = [(await events.of_job(world.fleet.redis, job_id, 0))[-1].body for job_id in job_ids]
    return [end.job.cost_micro for end in ends if isinstance(end, events.JobCompleted)]


@pytest.mark.parametrize("kind", ["result_expired", "model_missing"])
async def test_budget_of_ten_buys_ten_and_books_ten_whatever_becomes_of_the_results(
    world: World, kind: str
) -> None:
    """Every third result is lost behind its generation."""
    world.start_worker()
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
    assert {job["status"] for job in ended} == {"succeeded", "failed"}
    failed = [job["job_id"] for job in ended if job["status"] == "failed"]
    assert {ann.post(f"jobs/{job_id}/retry").status for job_id in failed} == {402}
    assert len(world.fleet.emulator.submissions()) == 10
    assert micro(world.admin.get("admin/stats").body["total_cost_usd"]) == 10 * PRICE
    assert sum(micro(job["cost_usd"]) for job in ended) == 10 * PRICE == counted(world)


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
