"""Three models by four variants of two pictures by one upload, at the emulator, whatever dies meanwhile."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from image2model.domain import Counts, ImageStatus
from image2model.operations import backup
from image2model.operations.restore import restore
from image2model.storage.address import open_storage
from image2model.store import job_reads
from image2model.store.connection import connect
from image2model.up.store import EmbeddedStore
from tests.support.crashing_store import CrashingStore
from tests.support.fleet import Fleet
from tests.support.gate import calls
from tests.support.ports import free_ports
from tests.support.served_api import MakeService
from tests.support.sketches import picture
from tests.support.stage import Stage, stage_on
from tests.worker.deleted_jobs import are_deleted, job_ids

UPLOAD = "/api/v1/upload/batch"
SEEDS = {
    "tripo3d/tripo/v2.5/image-to-3d": "seed",
    "tripo3d/h3.1/image-to-3d": "model_seed",
    "fal-ai/triposr": None,
}
FORM = {"model": list(SEEDS), "variants": "4"}
KEY = {"Idempotency-Key": "once"}


def files() -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("files", (f"{number}.png", picture(number, (48, 32)), "image/png")) for number in range(2)]


async def upload(http: httpx.AsyncClient, **headers: str) -> dict[str, Any]:
    answer = await http.post(UPLOAD, files=files(), data=FORM, headers=headers or KEY)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def finished(fleet: Fleet, answer: dict[str, Any]) -> list[Any]:
    return [await fleet.until_finished(job["job_id"], timeout=60) for job in answer["jobs"]]


def check_requests(fleet: Fleet, answer: dict[str, Any]) -> None:
    """24 requests: one for each image, at its job's endpoint, with its own seed and its picture's URL."""
    sent = {one["tags"]["i2m.image"]: one for one in fleet.emulator.submissions()}
    assert len(fleet.emulator.submissions()) == len(sent) == 24
    for job in answer["jobs"]:
        seed = SEEDS[job["model"]]
        for image in job["images"]:
            request = sent[image["image_id"]]
            assert request["endpoint"] == job["model"]
            if seed is not None:
                assert request["input"][seed] == image["seed"]
            else:
                assert image["seed"] is None
    assert Counter(one["endpoint"] for one in sent.values()) == dict.fromkeys(SEEDS, 8)


@pytest.fixture
async def http(fleet: Fleet) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API of the fleet."""
    (port,) = free_ports(1)
    await fleet.start_api(port)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        yield client


async def test_three_models_of_four_variants_of_two_pictures(fleet: Fleet, http: httpx.AsyncClient) -> None:
    quote = (await http.post("/api/v1/quote", files=files(), data=FORM)).json()
    answer = await upload(http)
    fleet.start_worker()
    jobs = await finished(fleet, answer)
    assert [job.counts for job in jobs] == [Counts(succeeded=8)] * 3
    check_requests(fleet, answer)
    assert await upload(http) == answer
    spent = sum(job.job.cost_micro for job in jobs)
    assert spent == round(quote["total_cost_usd"] * 1_000_000) == 5_360_000
    for job in jobs:
        models = [(await http.get(f"/api/v1/download/{job.job_id}/{one.image_id}")) for one in job.images]
        assert [one.status_code for one in models] == [307] * 8
    assert len(fleet.emulator.submissions()) == 24


@pytest.mark.long
async def test_background_is_removed_once_for_all_models_and_variants(
    fleet: Fleet, http: httpx.AsyncClient
) -> None:
    form = {"model": list(SEEDS)[:2], "variants": "2", "remove_background": "true"}
    quote = (await http.post("/api/v1/quote", files=files(), data=form)).json()
    answer = (await http.post(UPLOAD, files=files(), data=form)).json()
    fleet.start_worker()
    jobs = await finished(fleet, answer)
    assert [job.counts for job in jobs] == [Counts(succeeded=4)] * 2
    sent = Counter(one["endpoint"] for one in fleet.emulator.submissions())
    assert sent == {"fal-ai/bria/background/remove": 2, **dict.fromkeys(form["model"], 4)}
    spent = sum(job.job.cost_micro for job in jobs)
    assert spent == round(quote["total_cost_usd"] * 1_000_000)


@pytest.mark.long
async def test_worker_killed_in_the_middle_buys_nothing_twice(fleet: Fleet, http: httpx.AsyncClient) -> None:
    answer = await upload(http)
    worker = fleet.start_worker(I2M_MAX_CONCURRENT="6", I2M_UNCONFIRMED_GRACE="5")
    await fleet.until(answer["jobs"][0]["job_id"], lambda job: job.counts.succeeded > 1)
    worker.send(signal.SIGKILL)
    fleet.start_worker(I2M_UNCONFIRMED_GRACE="5")
    jobs = await finished(fleet, answer)
    sent = Counter(one["tags"]["i2m.image"] for one in fleet.emulator.submissions())
    assert set(sent.values()) == {1}
    for image in (image for job in jobs for image in job.images):
        if image.status is ImageStatus.SUCCEEDED:
            assert sent[image.image_id] == 1
        else:
            assert image.error is not None
            assert image.error.code == "submission_unconfirmed"


@pytest.mark.long
async def test_deleted_job_of_a_comparison_takes_nothing_of_the_others(
    fleet: Fleet, http: httpx.AsyncClient
) -> None:
    answer = await upload(http)
    fleet.start_worker()
    first, *others = await finished(fleet, answer)
    assert (await http.delete(f"/api/v1/jobs/{first.job_id}")).status_code == 204

    async def erased() -> bool:
        keys = [found.key async for found in fleet.storage.list()]
        return not any(first.job_id in key for key in keys)

    async with asyncio.timeout(20):
        while not await erased():
            await asyncio.sleep(0.02)
    for job in others:
        for image in job.images:
            for kind in ("model", "original"):
                address = f"/api/v1/download/{job.job_id}/{image.image_id}?file={kind}"
                assert (await http.get(address, follow_redirects=True)).status_code == 200


@pytest.mark.long
async def test_comparison_is_back_after_a_restore(
    fleet: Fleet, http: httpx.AsyncClient, make_service: MakeService, tmp_path: Path
) -> None:
    answer = await upload(http)
    fleet.start_worker()
    before = await finished(fleet, answer)
    made = await backup.make(fleet.redis, fleet.storage, tmp_path / "b.zip")
    assert (made.jobs, made.images) == (3, 24)
    server = EmbeddedStore(tmp_path / "store", durable=False)
    server.start()
    try:
        async with connect(server.url) as redis:
            folder = tmp_path / "elsewhere"
            await restore(redis, open_storage(folder.as_uri()), tmp_path / "b.zip")
            after = [await job_reads.read_job(redis, job.job_id) for job in before]
            assert [job.images for job in after] == [job.images for job in before]
            assert {job.job.comparison_id for job in after} == {answer["comparison_id"]}
        service = make_service(redis_url=server.url, storage_url=folder.as_uri())
        listed = service.get(f"jobs?comparison={answer['comparison_id']}").items("jobs")
        assert {job["job_id"] for job in listed} == {job.job_id for job in before}
        for job in before:
            for image in job.images:
                for kind in ("model", "original"):
                    found = service.get(f"download/{job.job_id}/{image.image_id}?file={kind}")
                    assert service.get(found.headers["location"]).status == 200
    finally:
        server.stop()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[CrashingStore]:
    """A durable server of the test's own."""
    store = CrashingStore(tmp_path / "durable")
    await store.start()
    yield store
    store.stop()


@pytest.fixture
async def stage(store: CrashingStore, tmp_path: Path) -> AsyncIterator[Stage]:
    """A fleet on that server."""
    async with stage_on(store.url, tmp_path, store.url) as stage:
        yield stage


@pytest.mark.long
async def test_api_killed_between_creation_and_answer_gives_it_when_asked_again(stage: Stage) -> None:
    first_port, second_port = free_ports(2)
    hold = stage.store.hold(calls("jobs/create_job"), answer=True)
    api = await stage.fleet.start_api(first_port, **stage.settings())
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{first_port}", timeout=30) as http:
        sending = asyncio.create_task(http.post(UPLOAD, files=files(), data=FORM, headers=KEY))
        async with asyncio.timeout(40):
            await hold.reached.wait()
        api.send(signal.SIGKILL)
        with pytest.raises(httpx.HTTPError):
            await sending
    await stage.fleet.start_api(second_port)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{second_port}", timeout=30) as http:
        answer = await upload(http)
        stage.fleet.start_worker()
        jobs = await finished(stage.fleet, answer)
        assert [job.counts for job in jobs] == [Counts(succeeded=8)] * 3
        check_requests(stage.fleet, answer)
        assert await job_ids(stage.fleet.redis) == {job.job_id for job in jobs}


@pytest.mark.long
async def test_comparison_without_a_key_that_nobody_heard_of_is_taken_back_as_a_whole(
    store: CrashingStore, stage: Stage
) -> None:
    (port,) = free_ports(1)
    hold = stage.store.hold(calls("jobs/create_job"), answer=True)
    await stage.fleet.start_api(port, **stage.settings())
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
        sending = asyncio.create_task(http.post(UPLOAD, files=files(), data=FORM))
        async with asyncio.timeout(40):
            await hold.reached.wait()
        restarting = asyncio.create_task(store.restart(signal.SIGKILL, 8))
        assert (await sending).status_code == 503
        await restarting
        async with asyncio.timeout(40):
            while not await are_deleted(stage.fleet.redis):
                await asyncio.sleep(0.02)
    stage.fleet.start_worker()
    async with asyncio.timeout(40):
        while await job_ids(stage.fleet.redis) or [found async for found in stage.fleet.storage.list()]:
            await asyncio.sleep(0.05)
    assert stage.fleet.emulator.submissions() == []


async def test_refusal_between_two_jobs_is_none(fleet: Fleet, http: httpx.AsyncClient) -> None:
    params = json.dumps({"fal-ai/triposr": {"nothing": 1}})
    answer = await http.post(UPLOAD, files=files(), data={**FORM, "params": params})
    assert answer.status_code == 422
    assert await job_ids(fleet.redis) == set()
    assert [found async for found in fleet.storage.list()] == []
