"""Second steps from upload to model, with real processes: what FAL gets, what it costs, and who owns what."""

import io
import json
import signal
import zipfile
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from PIL import Image

from image2model.access import accounts
from image2model.access.accounts import Allowance
from image2model.client import Client, Picture
from tests.derive.conftest import World, first
from tests.derive.steps import (
    LIMIT,
    RETEXTURE,
    SEGMENTS,
    TOPOLOGY,
    TRELLIS,
    body,
    derive,
    form,
    image_part,
    stored_for,
)
from tests.support.privacy import ADMIN_KEY
from tests.support.served_api import batch
from tests.support.sketches import picture
from tests.support.wait import until

TRIPO_MICRO = 300_000


def micro(usd: object) -> int:
    assert isinstance(usd, int | float)
    return round(usd * 1_000_000)


@pytest.mark.long
async def test_chain_of_three_sends_each_model_on_and_its_costs_add_up(world: World) -> None:
    await world.start_worker()
    ann = world.caller(budget="5.00/month")
    made = await world.ended(ann, ann.upload(batch(1)))
    textured = await world.ended(ann, derive(ann, first(made), body(RETEXTURE)))
    remeshed = await world.ended(
        ann, derive(ann, first(textured), body(TOPOLOGY, params={"face_level": "low"}))
    )
    jobs = [made, textured, remeshed]
    assert [job["status"] for job in jobs] == ["succeeded"] * 3, jobs
    images = [job["images"][0] for job in jobs]
    assert [one["parent_image_id"] for one in images] == [None, images[0]["image_id"], images[1]["image_id"]]
    assert {one["filename"] for one in images} == {"0.png"}

    bought = world.fleet.emulator.submissions()
    assert [one["endpoint"] for one in bought] == [made["model"], RETEXTURE, TOPOLOGY]
    assert [one["request_id"] for one in bought] == [one["fal_request_id"] for one in images]
    second, third = bought[1]["input"], bought[2]["input"]
    assert world.sent(second["model_url"]) == world.download(ann, made)
    assert world.sent(second["image_style_url"]) == world.sent(bought[0]["input"]["image_url"])
    assert world.sent(third["input_file_url"]) == world.download(ann, textured)
    assert third == {
        "input_file_url": third["input_file_url"],
        "input_file_type": "glb",
        "face_level": "low",
    }
    addresses = [second["model_url"], third["input_file_url"]]
    assert not {url for url in addresses if any(one["request_id"] in url for one in bought)}  # uploaded anew
    made_by = [{one["field"]: one["request_id"] for one in entry["inputs"]} for entry in bought]
    first_id, second_id, _ = (one["request_id"] for one in bought)
    assert made_by == [
        {"image_url": None},
        {"model_url": first_id, "image_style_url": None},
        {"input_file_url": second_id},
    ]

    costs = [micro(job["cost_usd"]) for job in jobs]
    assert costs[0] == TRIPO_MICRO
    assert all(costs)
    assert [micro(one["cost_usd"]) for one in images] == costs
    stats = world.admin.get("admin/stats")
    assert micro(stats.body["total_cost_usd"]) == sum(costs)
    assert {row["model"]: micro(row["cost_usd"]) for row in stats.items("spending")} == dict(
        zip([made["model"], RETEXTURE, TOPOLOGY], costs, strict=True)
    )
    usage = await accounts.usage(world.fleet.redis, ann.owner, Allowance(key="", max_queued=9, budget=None))
    assert (usage.unfinished, usage.spent, usage.reserved) == (0, sum(costs), 0)
    content = ann.get(f"download/{remeshed['job_id']}/archive.zip").content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert "0.glb" in archive.namelist()
        assert micro(json.loads(archive.read("manifest.json"))["cost_usd"]) == costs[2]


@pytest.mark.long
async def test_budget_that_ends_in_the_middle_of_a_chain_refuses_the_next_step(world: World) -> None:
    await world.start_worker()
    ann = world.caller(budget="0.65/total")
    made = await world.ended(ann, ann.upload(batch(1)))
    textured = await world.ended(ann, derive(ann, first(made), body(RETEXTURE)))
    assert micro(textured["cost_usd"]) == 300_000
    before = world.service.stored()
    answer = derive(ann, first(textured), body(RETEXTURE, no_cache=True))
    assert (answer.status, answer.code) == (402, "budget_exceeded")
    assert world.service.stored() == before
    assert len(world.fleet.emulator.submissions()) == 2


@pytest.mark.long
async def test_equal_step_is_free_and_a_picture_of_its_own_is_another(world: World) -> None:
    await world.start_worker()
    ann = world.caller()
    made = await world.ended(ann, ann.upload(batch(1)))
    style = picture(fmt="PNG", seed=40)
    once = await world.ended(ann, derive(ann, first(made), body(TRELLIS)))
    again = await world.ended(ann, derive(ann, first(made), body(TRELLIS)))
    other = await world.ended(ann, derive(ann, first(made), image_part(form(TRELLIS), style)))
    paid = await world.ended(ann, derive(ann, first(made), body(TRELLIS, no_cache=True)))
    assert [job["images"][0]["cached"] for job in (once, again, other, paid)] == [False, True, False, False]
    assert micro(again["cost_usd"]) == 0
    assert world.download(ann, again) == world.download(ann, once)
    assert len(world.fleet.emulator.submissions()) == 4
    sent = [one["input"] for one in world.fleet.emulator.submissions()[1:]]
    assert len({one["mesh_url"] for one in sent}) == 3
    assert world.sent(sent[0]["image_url"]) == world.sent(sent[2]["image_url"])
    assert world.sent(sent[1]["image_url"]) != world.sent(sent[0]["image_url"])


@pytest.mark.long
async def test_simultaneous_equal_steps_are_bought_once(world: World) -> None:
    await world.start_worker()
    ann = world.caller()
    made = await world.ended(ann, ann.upload(batch(1)))
    steps = [derive(ann, first(made), body(SEGMENTS)) for _ in range(5)]
    ended = [await world.ended(ann, one) for one in steps]
    assert {job["status"] for job in ended} == {"succeeded"}
    assert sum(job["images"][0]["cached"] for job in ended) == 4
    assert len(world.fleet.emulator.submissions()) == 2


@pytest.mark.long
@pytest.mark.parametrize("moment", ["before", "while", "after"])
async def test_step_outlives_its_parent(world: World, moment: str) -> None:
    """The parent is deleted before the child starts, while FAL has it, or after its end."""
    if moment == "before":
        await world.start_worker(I2M_WORKER_CONCURRENCY="1")
    else:
        await world.start_worker()
    ann = world.caller()
    made = await world.ended(ann, ann.upload(batch(1)))
    model = world.download(ann, made)
    if moment != "after":
        world.fleet.emulator.settings(concurrency=0)
    if moment == "before":
        blocker = ann.upload(batch(1, no_cache="true"))
    asked = derive(ann, first(made), body(TRELLIS))
    child = asked.text("job_id")
    if moment == "while":

        async def at_fal() -> bool:
            return bool(ann.get(f"status/{child}").items("images")[0]["fal_request_id"])

        await until(at_fal, timeout=60)
    if moment == "before":
        assert ann.get(f"status/{child}").items("images")[0]["status"] == "queued"
    if moment != "after":
        await delete_wholly(world, ann, made["job_id"])
        world.fleet.emulator.settings(concurrency=100)
    ended = await world.ended(ann, child)
    if moment == "after":
        await delete_wholly(world, ann, made["job_id"])
    if moment == "before":
        await world.ended(ann, blocker)
    assert ended["status"] == "succeeded", ended
    assert ended["images"][0]["parent_job_id"] == made["job_id"]
    (bought,) = [one for one in world.fleet.emulator.submissions() if one["endpoint"] == TRELLIS]
    assert world.sent(bought["input"]["mesh_url"]) == model
    assert world.download(ann, ended)
    assert world.download(ann, ended, "original") == picture(fmt="PNG", seed=0)
    image_id = ended["images"][0]["image_id"]
    assert ann.get(f"images/{child}/{image_id}/thumbnail").status == 200
    # and a step on the step
    assert (await world.ended(ann, derive(ann, first(ended), body(SEGMENTS))))["status"] == "succeeded"


async def delete_wholly(world: World, caller: Any, job_id: str) -> None:
    assert caller.send("DELETE", f"jobs/{job_id}").status == 204

    async def gone() -> bool:
        return not stored_for(world.service, job_id)

    await until(gone, timeout=60)


@pytest.mark.long
async def test_failed_step_is_retried_with_its_model_and_other_parameters(world: World) -> None:
    await world.start_worker()
    ann = world.caller()
    made = await world.ended(ann, ann.upload(batch(1)))
    world.fleet.emulator.fault("422", count=1)
    failed = await world.ended(ann, derive(ann, first(made), body(TOPOLOGY)))
    assert failed["status"] == "failed"
    path = f"jobs/{failed['job_id']}/retry"
    refused = ann.post(path, json.dumps({"params": {"input_file_url": "https://example.com/a.glb"}}).encode())
    assert (refused.status, refused.code) == (422, "invalid_parameter")
    assert ann.post(path, json.dumps({"params": {"face_level": "high"}}).encode()).status == 202
    again = await world.ended(ann, failed["job_id"])
    assert (again["status"], again["images"][0]["attempt"]) == ("succeeded", 2)
    one, two = (one["input"] for one in world.fleet.emulator.submissions()[1:])
    assert one["input_file_url"] != two["input_file_url"]
    assert two["face_level"] == "high"
    assert two["input_file_type"] == "glb"


@pytest.mark.long
async def test_step_that_waits_can_be_cancelled_for_nothing(world: World) -> None:
    await world.start_worker()
    ann = world.caller()
    made = await world.ended(ann, ann.upload(batch(1)))
    assert world.admin.post("admin/queues/model_generation/pause").status == 200
    child = derive(ann, first(made), body(TOPOLOGY)).text("job_id")
    assert ann.post(f"jobs/{child}/cancel").status == 202
    ended = await world.ended(ann, child)
    assert ended["status"] == "cancelled"
    usage = await accounts.usage(world.fleet.redis, ann.owner, Allowance(key="", max_queued=9, budget=None))
    assert (usage.unfinished, usage.spent, usage.reserved) == (0, TRIPO_MICRO, 0)
    assert len(world.fleet.emulator.submissions()) == 1


@pytest.mark.long
async def test_model_only_at_fal_is_fetched_and_sent_on_while_it_lives(redirecting: World) -> None:
    world = redirecting
    await world.start_worker()
    ann = world.caller()
    made = await world.ended(ann, ann.upload(batch(1)))
    model = world.download(ann, made)
    textured = await world.ended(ann, derive(ann, first(made), body(TRELLIS)))
    assert textured["status"] == "succeeded", textured
    assert world.sent(world.fleet.emulator.submissions()[-1]["input"]["mesh_url"]) == model
    again = await world.ended(ann, derive(ann, first(made), body(TRELLIS)))
    assert again["images"][0]["cached"]
    expire(world, made["images"][0]["fal_request_id"])
    answer = derive(ann, first(made), body(SEGMENTS))
    assert (answer.status, answer.code) == (410, "expired")
    assert "I2M_RESULTS=redirect" in answer.text("detail")
    assert len(world.fleet.emulator.submissions()) == 2


@pytest.mark.long
async def test_model_that_fal_loses_before_the_run_costs_nothing(redirecting: World) -> None:
    world = redirecting
    await world.start_worker()
    ann = world.caller()
    made = await world.ended(ann, ann.upload(batch(1)))
    assert world.admin.post("admin/queues/model_generation/pause").status == 200
    asked = derive(ann, first(made), body(SEGMENTS, max_cost_usd=LIMIT))
    assert asked.status == 202
    expire(world, made["images"][0]["fal_request_id"])
    assert world.admin.post("admin/queues/model_generation/resume").status == 200
    ended = await world.ended(ann, asked)
    assert ended["images"][0]["error"]["code"] == "result_expired"
    assert not ended["images"][0]["error"]["retryable"]
    assert ended["cost_usd"] == 0
    assert len(world.fleet.emulator.submissions()) == 1


def expire(world: World, request_id: str) -> None:
    """FAL deletes the files of a request."""
    headers = {"Authorization": f"Key {ADMIN_KEY}"}
    url = f"/v1/models/requests/{request_id}/payloads"
    world.fleet.emulator.http.delete(url, headers=headers).raise_for_status()


@pytest.mark.long
async def test_chain_of_four_from_a_cut_out_picture_with_a_kill_between_each_two(world: World) -> None:
    await world.start_worker()
    ann = world.caller(budget="5.00/month")

    async def killed() -> None:
        """The worker is gone without a word, and another begins."""
        worker = world.fleet.workers[-1]
        worker.send(signal.SIGKILL)
        await worker.exit_code()
        await world.start_worker()

    emulator = world.fleet.emulator
    emulator.settings(concurrency=0)
    asked = ann.upload(batch(1, remove_background="true"))
    assert asked.status == 202, asked.body
    await until(accepted(world, 1), timeout=60)
    await killed()
    emulator.settings(concurrency=100)
    await until(accepted(world, 2), timeout=60)
    await killed()
    made = await world.ended(ann, asked)
    jobs = [made]
    for model in (RETEXTURE, TOPOLOGY):
        emulator.settings(concurrency=0)
        step = derive(ann, first(jobs[-1]), body(model))
        await until(accepted(world, len(jobs) + 2), timeout=60)
        await killed()
        emulator.settings(concurrency=100)
        jobs.append(await world.ended(ann, step))
    assert [job["status"] for job in jobs] == ["succeeded"] * 3, jobs
    bought = emulator.submissions()
    assert [one["endpoint"] for one in bought][1:] == [made["model"], RETEXTURE, TOPOLOGY]
    made_by = [{one["field"]: one["request_id"] for one in entry["inputs"]} for entry in bought]
    ids = [one["request_id"] for one in bought]
    assert made_by[2:] == [{"model_url": ids[1], "image_style_url": None}, {"input_file_url": ids[2]}]
    # the picture is encoded anew on its way to the model, so only its pixels are those of the cut-out
    sent, kept = world.sent(bought[1]["input"]["image_url"]), world.download(ann, made, "prepared")
    assert pixels(sent) == pixels(kept)
    assert len(set(pixels(sent)[3::4])) > 1
    costs = [micro(job["cost_usd"]) for job in jobs]
    cutout = micro(made["images"][0]["preparation"]["cost_usd"])
    assert cutout
    assert costs[0] == TRIPO_MICRO + cutout
    stats = world.admin.get("admin/stats")
    spending = {row["model"]: micro(row["cost_usd"]) for row in stats.items("spending")}
    assert spending == dict(
        zip([one["endpoint"] for one in bought], [cutout, TRIPO_MICRO, *costs[1:]], strict=True)
    )
    assert micro(stats.body["total_cost_usd"]) == sum(costs)
    usage = await accounts.usage(world.fleet.redis, ann.owner, Allowance(key="", max_queued=9, budget=None))
    assert (usage.unfinished, usage.spent, usage.reserved) == (0, sum(costs), 0)


def pixels(data: bytes) -> bytes:
    return Image.open(io.BytesIO(data)).convert("RGBA").tobytes()


def accepted(world: World, count: int) -> Callable[[], Awaitable[bool]]:
    """Whether FAL has so many requests."""

    async def condition() -> bool:
        return len(world.fleet.emulator.submissions()) >= count

    return condition


@pytest.mark.long
async def test_python_client_derives_with_and_without_a_picture(world: World) -> None:
    await world.start_worker()
    ann = world.caller()
    made = await world.ended(ann, ann.upload(batch(1)))
    address = world.service.address
    style = Picture.from_bytes("oak.png", picture(fmt="PNG", seed=41))
    with Client(f"http://{address.host}:{address.port}", key=ann.key) as client:
        plain = client.derive(
            *first(made),
            model=RETEXTURE,
            params={"text_style_prompt": "oak"},
            max_cost_usd=LIMIT,
            no_cache=True,
        )
        styled = client.derive(*first(made), model=RETEXTURE, picture=style, metadata={"sku": "A-1"})
    jobs = [await world.ended(ann, one.job_id) for one in (plain, styled)]
    assert [job["status"] for job in jobs] == ["succeeded"] * 2
    assert jobs[1]["metadata"] == {"sku": "A-1"}
    assert jobs[1]["images"][0]["views"][0]["filename"] == "oak.png"
    assert styled.images[0].parent_image_id == made["images"][0]["image_id"]
    inputs = {one["request_id"]: one["input"] for one in world.fleet.emulator.submissions()}
    sent = [inputs[job["images"][0]["fal_request_id"]] for job in jobs]
    assert ["image_style_url" in one for one in sent] == [False, True]
    assert sent[0]["text_style_prompt"] == "oak"
