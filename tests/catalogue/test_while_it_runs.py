"""FAL's list changes while the service runs: nothing restarts, and everybody can use what is new."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from image2model.client import ApiError, AsyncClient, Picture
from image2model.client.documents import Job
from image2model.store.keys import key
from tests.support.command import run_command
from tests.support.fleet import Fleet
from tests.support.ports import free_port
from tests.support.service_process import ServiceProcess
from tests.support.sketches import picture
from tests.support.wait import until

NEW = "fal-ai/brand-new/image-to-3d"
ROW_OF = "fal-ai/triposr"


class World:
    """An API process, a worker, FAL."""

    def __init__(self, fleet: Fleet, worker: ServiceProcess, client: AsyncClient) -> None:
        self.fleet = fleet
        self.worker = worker
        self.client = client

    @property
    def fal(self) -> httpx.Client:
        return self.fleet.emulator.http

    def add(self, model: str) -> None:
        """FAL lists one more endpoint, a copy of another's row."""
        row = self.fal.get(f"/_emulator/endpoints/{ROW_OF}").raise_for_status().json()
        self.fal.put(f"/_emulator/endpoints/{model}", json={**row, "id": model}).raise_for_status()

    def unlist(self, model: str) -> None:
        """FAL lists one less."""
        self.fal.delete(f"/_emulator/endpoints/{model}").raise_for_status()

    async def at_fal(self) -> None:
        """FAL has a request."""

        async def accepted() -> bool:
            return bool(self.fleet.emulator.submissions())

        await until(accepted)

    async def refreshed(self, model: str, *, on_offer: bool) -> None:
        """The list as FAL has it now."""
        await self.client.refresh_models()

        async def right() -> bool:
            return (model in {one.id for one in (await self.client.models()).models}) is on_offer

        await until(right, timeout=20)

    async def ended(self, job: Job) -> Job:
        async def finished() -> bool:
            return (await self.client.job(job.job_id)).finished

        await until(finished, timeout=30)
        return await self.client.job(job.job_id)


@pytest.fixture
async def world(fleet: Fleet) -> AsyncIterator[World]:
    """Ready, with FAL's list read."""
    port = free_port()
    worker = fleet.start_worker()
    await fleet.start_api(port)
    async with AsyncClient(f"http://127.0.0.1:{port}") as client:
        world = World(fleet, worker, client)

        async def from_fal() -> bool:
            return (await client.models()).source == "fal"

        await until(from_fal, timeout=20)
        yield world


def drawn(seed: int = 1) -> Picture:
    return Picture.from_bytes(f"{seed}.png", picture(seed, (48, 32)))


@pytest.mark.long
async def test_new_endpoint_is_used_by_all_without_a_restart(world: World, tmp_path: Path) -> None:
    assert NEW not in {one.id for one in (await world.client.models()).models}
    world.add(NEW)
    await world.refreshed(NEW, on_offer=True)
    model = await world.client.model(NEW)
    assert model.available
    assert "mc_resolution" in model.params["properties"]

    by_client = await world.client.submit([drawn()], model=NEW, params={"mc_resolution": 128})
    async with httpx.AsyncClient() as http:  # what curl sends
        answer = await http.post(
            f"{world.client.url}/api/v1/upload/batch",
            files={"files": ("2.png", drawn(2).data, "image/png")},
            data={"model": NEW},
        )
    assert answer.status_code == 202
    (tmp_path / "3.png").write_bytes(drawn(3).data)
    sent = await asyncio.to_thread(
        run_command, "submit", str(tmp_path / "3.png"), "--model", NEW, "--out", str(tmp_path / "out"),
        "--url", world.client.url, folder=None,
    )  # fmt: skip
    assert sent.returncode == 0, sent.stderr
    assert (tmp_path / "out" / "3.glb").stat().st_size > 0
    listed = await asyncio.to_thread(
        run_command, "models", "brand-new", "--url", world.client.url, folder=None
    )
    assert NEW in listed.stdout
    ended = await world.ended(by_client)
    assert ended.status == "succeeded"
    sent_inputs = [one["input"] for one in world.fleet.emulator.submissions() if one["endpoint"] == NEW]
    assert [one["mc_resolution"] for one in sent_inputs if "mc_resolution" in one] == [128]


@pytest.mark.long
async def test_endpoint_that_disappears_refuses_in_words_and_lets_running_ones_finish(world: World) -> None:
    world.add(NEW)
    await world.refreshed(NEW, on_offer=True)
    world.fleet.emulator.settings(latency=3)
    running = await world.client.submit([drawn()], model=NEW)
    await world.at_fal()
    world.unlist(NEW)
    await world.refreshed(NEW, on_offer=False)
    with pytest.raises(ApiError, match="no longer lists") as refused:
        await world.client.submit([drawn(2)], model=NEW)
    assert refused.value.code == "unknown_model"
    assert (await world.ended(running)).status == "succeeded"


@pytest.mark.long
async def test_accepted_upload_has_the_same_answer_after_its_endpoint_is_gone(world: World) -> None:
    world.add(NEW)
    await world.refreshed(NEW, on_offer=True)
    world.fleet.emulator.settings(latency=3)
    first = await world.client.submit([drawn()], model=NEW, idempotency_key="once")
    await world.at_fal()
    world.unlist(NEW)
    await world.refreshed(NEW, on_offer=False)
    again = await world.client.submit([drawn()], model=NEW, idempotency_key="once")
    assert again.job_id == first.job_id
    with pytest.raises(ApiError) as refused:
        await world.client.submit([drawn(2)], model=NEW, idempotency_key="once")
    assert refused.value.code == "idempotency_conflict"
    assert (await world.ended(first)).status == "succeeded"
    assert len(world.fleet.emulator.submissions()) == 1


@pytest.mark.long
async def test_what_is_paid_for_is_handed_over_though_no_copy_knows_its_endpoint(world: World) -> None:
    world.add(NEW)
    await world.refreshed(NEW, on_offer=True)
    world.fleet.emulator.settings(latency=3)
    running = await world.client.submit([drawn()], model=NEW)
    await world.at_fal()
    await world.worker.end()
    world.unlist(NEW)
    await world.fleet.redis.delete(key("catalogue"))
    world.fleet.start_worker()
    ended = await world.ended(running)
    assert ended.status == "succeeded"
    assert ended.images[0].result is not None
    assert ended.images[0].result.files[0].kind == "model"
    assert ended.cost_usd == running.estimated_cost_usd
    assert len(world.fleet.emulator.submissions()) == 1


@pytest.mark.long
async def test_changed_schema_decides_what_is_accepted_and_sent(world: World) -> None:
    world.add(NEW)
    await world.refreshed(NEW, on_offer=True)
    before = (await world.client.models()).updated_at
    world.fal.patch(
        f"/_emulator/endpoints/{NEW}", json={"fields": {"mc_resolution": None}}
    ).raise_for_status()
    await world.client.refresh_models()

    async def read_again() -> bool:
        return "mc_resolution" not in (await world.client.model(NEW)).params["properties"]

    await until(read_again, timeout=20)
    assert (await world.client.models()).updated_at != before
    with pytest.raises(ApiError, match="mc_resolution") as refused:
        await world.client.submit([drawn()], model=NEW, params={"mc_resolution": 128})
    assert refused.value.code == "invalid_parameter"
    passed = await world.client.submit(
        [drawn()], model=NEW, params={"mc_resolution": 128}, params_strict=False
    )
    assert (await world.ended(passed)).status == "succeeded"
    assert world.fleet.emulator.submissions()[-1]["input"]["mc_resolution"] == 128
