"""kill -9 of the worker around the submit of a second step: it is bought once."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.derive.steps import RETEXTURE, SEGMENTS, TRELLIS, body, derive
from tests.support.fleet import Fleet
from tests.support.gate import Hold, calls
from tests.support.ports import free_port
from tests.support.served_api import Service, batch
from tests.support.servers import Address
from tests.support.stage import Stage
from tests.support.wait import until


def posted(message: bytes) -> bool:
    return message.startswith(b"POST /fal-ai/")


def uploaded(message: bytes) -> bool:
    return message.startswith(b"POST /files/upload")


def window(stage: Stage, name: str) -> Hold:
    """Hold the second step in one of the windows around its submit."""
    if name == "while the model is uploaded":
        return stage.fal.hold(uploaded, answer=False)
    if name == "after the model is uploaded":
        return stage.fal.hold(uploaded, answer=True)
    if name == "accepted, before the reply":
        return stage.fal.hold(posted, answer=True)
    if name == "before the mark":
        return stage.store.hold(calls("generation/write", b"posting_at"), answer=False)
    return stage.store.hold(calls("generation/commit_submission"), answer=name == "after the commit")


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("while the model is uploaded", SEGMENTS),
        ("after the model is uploaded", SEGMENTS),
        ("after the model is uploaded", TRELLIS),
        ("before the mark", RETEXTURE),
        ("accepted, before the reply", SEGMENTS),
        ("accepted, before the reply", TRELLIS),
        ("after the reply, before the commit", SEGMENTS),
        ("after the commit", TRELLIS),
    ],
)
async def test_killed_around_the_submit_is_bought_once(
    stage: Stage, tmp_path: Path, name: str, model: str
) -> None:
    fleet = stage.fleet
    address = Address("127.0.0.1", free_port())
    await fleet.start_api(address.port, I2M_MODELS="*")
    service = Service(address, tmp_path / "files")
    first = stage.start_worker()
    made = await fleet.until_finished(service.upload(batch(1)).text("job_id"))
    hold = window(stage, name)
    child = derive(service, (made.job_id, made.images[0].image_id), body(model)).text("job_id")
    async with asyncio.timeout(40):
        await hold.reached.wait()
    first.send(signal.SIGKILL)
    await first.exit_code()
    stage.start_worker(I2M_UNCONFIRMED_GRACE="20")
    job = await fleet.until_finished(child, timeout=60)
    assert [image.status for image in job.images] == ["succeeded"], job.images
    assert job.images[0].attempt == 1
    assert len(fleet.submissions_of(job)) == 1
    (bought,) = [one for one in fleet.emulator.submissions() if one["endpoint"] == model]
    assert bought["request_id"] == job.images[0].request_id
    assert job.job.cost_micro == job.images[0].cost_micro

    async def followed() -> bool:
        return len(fleet.emulator.submissions()) == 2

    await until(followed)


async def test_two_equal_steps_whose_replies_are_lost_are_told_apart(fleet: Fleet, tmp_path: Path) -> None:
    """Each upload of the same model has an address of its own, by which its request is found."""
    address = Address("127.0.0.1", free_port())
    await fleet.start_api(address.port, I2M_MODELS="*", I2M_RESULTS="redirect")
    service = Service(address, tmp_path / "files")
    fleet.start_worker(I2M_RESULTS="redirect", I2M_UNCONFIRMED_GRACE="20")
    made = await fleet.until_finished(service.upload(batch(1)).text("job_id"))
    fleet.emulator.fault("drop_after_accept", count=2)
    parent = (made.job_id, made.images[0].image_id)
    children = [derive(service, parent, body(SEGMENTS, no_cache=True)).text("job_id") for _ in range(2)]
    jobs = [await fleet.until_finished(child, timeout=60) for child in children]
    assert [job.images[0].status for job in jobs] == ["succeeded"] * 2
    bought = [one for one in fleet.emulator.submissions() if one["endpoint"] == SEGMENTS]
    tagged = {one["tags"]["i2m.image"]: one["request_id"] for one in bought}
    assert len(bought) == 2
    assert tagged == {job.images[0].image_id: job.images[0].request_id for job in jobs}
