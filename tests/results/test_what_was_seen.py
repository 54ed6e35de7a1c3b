"""Each fault by which a model, its cost or FAL's words were once lost, with the real processes."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.results.table import TRIPO
from tests.results.world import World, world_on

pytestmark = pytest.mark.long

PRICE = 0.3


class Seen(NamedTuple):
    """A fault and what must become of it: `code` is the error's, or the warning's where it succeeds."""

    fault: str
    value: str | float | None
    status: str
    code: str | None
    cost: float | None = PRICE
    uncertain: bool = False
    words: str = ""


SUCCESSES = (
    Seen("preview_missing", None, "succeeded", "file_missing"),
    Seen("preview_elsewhere", None, "succeeded", None),
    Seen("points_only", None, "succeeded", None),
    Seen("no_bounds", None, "succeeded", None),
    Seen("bytes_behind", None, "succeeded", None),
    Seen("unknown_format", "splat", "succeeded", None),
    Seen("unknown_format", "spz", "succeeded", None),
    Seen("null_mesh", None, "succeeded", None),
    Seen("file_slow", "preview", "succeeded", None),
    Seen("file_stuck", "preview", "succeeded", "file_missing"),
    Seen("file_empty", "preview", "succeeded", "file_missing"),
    Seen("file_html", "preview", "succeeded", "file_missing"),
    Seen("file_redirect", "all", "succeeded", None),
    Seen("status_404", 1.5, "succeeded", None),
    Seen("result_404", 1.5, "succeeded", None),
    Seen("result_list", None, "succeeded", None),
    Seen("result_html", None, "succeeded", None),
    Seen("status_failed", "result", "succeeded", None),
    Seen("status_cancelled", "result", "succeeded", None),
    Seen("billable_units", 2, "succeeded", None, 0.6),
    Seen("billable_units", "none", "succeeded", None),
    Seen("billable_units", 0, "succeeded", None, PRICE, uncertain=True),
)
FAILURES = (
    Seen("result_expired", None, "failed", "result_expired", uncertain=True),
    Seen("model_missing", None, "failed", "result_expired"),
    Seen("file_empty", "model", "failed", "result_expired"),
    Seen("file_html", "all", "failed", "result_expired"),
    Seen("result_error", None, "failed", "result_invalid", words="out of memory"),
    Seen("422", None, "failed", "rejected_by_model", uncertain=True, words="could not make anything"),
    Seen("422_safety", None, "failed", "content_policy", uncertain=True, words="safety violations"),
)


async def _bought(world: World, rows: Sequence[Seen]) -> list[str]:
    """A job for each row, whose submit alone meets the row's fault."""
    emulator, jobs = world.fleet.emulator, []
    for number, row in enumerate(rows):
        await asyncio.to_thread(emulator.fault, row.fault, count=1, value=row.value)
        jobs.append(await world.upload(number, TRIPO))
        async with asyncio.timeout(30):
            while len(await asyncio.to_thread(emulator.submissions)) <= number:
                await asyncio.sleep(0.02)
    return jobs


async def _judged(world: World, row: Seen, job_id: str) -> list[str]:
    image = await world.image(job_id)
    wrong = []
    if image["status"] != row.status:
        return [f"{row.fault}={row.value}: {image['status']} {image['error']}"]
    if row.status == "succeeded":
        codes = {one["code"] for one in image["result"]["warnings"]}
        if row.code is not None and row.code not in codes:
            wrong.append(f"warnings {codes}")
        if not await world.model(job_id, image["image_id"]):
            wrong.append("no model to download")
    elif image["error"]["code"] != row.code or row.words not in image["error"]["message"]:
        wrong.append(f"{image['error']}")
    if (image["cost_usd"], image["job_cost_usd"]) != (row.cost, row.cost or 0):
        wrong.append(f"costs {image['cost_usd']} and {image['job_cost_usd']}, due {row.cost}")
    if image["attempt"] != 1:
        wrong.append(f"{image['attempt']} attempts")
    if image["cost_uncertain"] != row.uncertain:
        wrong.append(f"cost_uncertain {image['cost_uncertain']}")
    return [f"{row.fault}={row.value}: {text}" for text in wrong]


@pytest.mark.parametrize("results", ["mirror", "redirect"])
async def test_nothing_that_was_paid_for_is_lost(redis_url: str, tmp_path: Path, results: str) -> None:
    rows = (*SUCCESSES, *FAILURES)
    async with world_on(redis_url, tmp_path, results) as world:
        await asyncio.to_thread(world.fleet.emulator.settings, slow_transfer=1)
        jobs = await _bought(world, rows)
        ends = await world.ended(jobs, 60)
        late = [row.fault for row, job in zip(rows, jobs, strict=True) if job not in ends]
        wrong = [text for row, job in zip(rows, jobs, strict=True) for text in await _judged(world, row, job)]
        posts = Counter(line["tags"]["i2m.image"] for line in world.fleet.emulator.submissions())
        billed = round(sum(row.cost or 0 for row in rows), 6)

        assert late == world.proxy.errors == []
        assert not wrong, "\n".join(wrong)
        assert [image for image, count in posts.items() if count > 1] == []
        assert (await world.usage()).spent == await world.spent() == round(billed * 1e6)


async def test_a_preview_at_an_address_that_is_not_public_costs_no_model(
    redis_url: str, tmp_path: Path
) -> None:
    settings = {"I2M_WEBHOOK_ALLOW_PRIVATE": "0"}
    async with world_on(redis_url, tmp_path, "mirror", **settings) as world:
        (job,) = await _bought(world, [Seen("preview_elsewhere", None, "succeeded", "file_refused")])
        await world.ended([job], 30)
        image = await world.image(job)

        assert image["status"] == "succeeded"
        assert [one["code"] for one in image["result"]["warnings"]] == ["file_refused"]
        assert await world.model(job, image["image_id"])
