"""Objects of several views through real processes: one paid request each, with every view under its side."""

import hashlib
import io
import signal
from collections.abc import Mapping
from typing import Any, Final

import httpx
import pytest
from PIL import Image

from image2model.domain import Counts
from image2model.storage import layout
from image2model.store.records import JobSnapshot
from tests.support.faulty_worker import SPOILT
from tests.support.fleet import Fleet, failed_codes
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.object_forms import SIDES, four_views, part, view
from tests.support.ports import free_port

SIDED: Final = "tripo3d/tripo/v2.5/multiview-to-3d"
LIST: Final = "fal-ai/trellis/multi"
OBJECTS: Final = 25


class Client:
    """What a client of one API process does."""

    def __init__(self, fleet: Fleet, port: int) -> None:
        self._fleet = fleet
        self._url = f"http://127.0.0.1:{port}/api/v1"

    async def upload(self, body: Body) -> JobSnapshot:
        """Post the form and wait for the job's end."""
        return await self._fleet.until_finished(await self.post(body), timeout=90)

    async def post(self, body: Body) -> str:
        """Post the form; the job's id."""
        async with httpx.AsyncClient(timeout=60) as http:
            headers = {"Content-Type": CONTENT_TYPE}
            answer = await http.post(f"{self._url}/upload/batch", content=bytes(body), headers=headers)
            assert answer.status_code == 202, answer.text
            return str(answer.json()["job_id"])

    async def document(self, job: str) -> dict[str, Any]:
        async with httpx.AsyncClient(timeout=60) as http:
            document: dict[str, Any] = (await http.get(f"{self._url}/status/{job}")).json()
            return document


async def client_of(fleet: Fleet) -> Client:
    port = free_port()
    await fleet.start_api(port, I2M_MODELS="*")
    return Client(fleet, port)


def sent(fleet: Fleet, job: JobSnapshot) -> dict[str, dict[str, Any]]:
    """FAL's input for each object by name; each was bought once."""
    by_image = {image.image_id: image.filename for image in job.images}
    found: dict[str, dict[str, Any]] = {}
    for entry in fleet.submissions_of(job):
        name = by_image[entry["tags"]["i2m.image"]]
        assert name not in found, f"{name} was bought twice"
        found[name] = entry["input"]
    return found


def width_at(fleet: Fleet, url: str) -> int:
    """Of a picture at FAL: by it a view is known."""
    answer = fleet.emulator.http.get(url).raise_for_status()
    with Image.open(io.BytesIO(answer.content)) as picture:
        return picture.width


def check_sides(fleet: Fleet, inputs: Mapping[str, Any]) -> None:
    """Each of the four views is at FAL, under the name of its own side."""
    widths = {name: width_at(fleet, url) for name, url in inputs.items()}
    assert widths == {f"{side}_image_url": 20 + at for at, side in enumerate(SIDES[:4])}


@pytest.mark.long
async def test_25_objects_of_4_views_are_25_requests_and_again_cost_nothing(fleet: Fleet) -> None:
    client = await client_of(fleet)
    for _ in range(2):
        fleet.start_worker()
    job = await client.upload(four_views(OBJECTS, model=SIDED))
    assert job.counts == Counts(succeeded=OBJECTS)
    inputs = sent(fleet, job)
    assert sorted(inputs) == sorted(f"o{number}" for number in range(OBJECTS))
    for one in inputs.values():
        check_sides(fleet, one)
    models = {
        file.key
        for image in job.images
        if image.result
        for file in image.result.files
        if file.kind == "model"
    }
    digests = {hashlib.sha256(await fleet.storage.get(key or "")).hexdigest() for key in models}
    assert len(digests) == OBJECTS
    assert job.job.cost_micro == sum(image.cost_micro or 0 for image in job.images) > 0

    again = await client.upload(four_views(OBJECTS, model=SIDED))
    assert again.counts == Counts(succeeded=OBJECTS)
    assert all(image.cached for image in again.images)
    assert again.job.cost_micro == 0
    assert len(fleet.emulator.submissions()) == OBJECTS


@pytest.mark.long
async def test_workers_killed_in_the_middle_lose_no_object_and_buy_none_twice(fleet: Fleet) -> None:
    client = await client_of(fleet)
    fleet.emulator.settings(latency=1)
    job_id = await client.post(four_views(OBJECTS, model=SIDED))
    for _ in range(4):
        worker = fleet.start_worker(I2M_UNCONFIRMED_GRACE="5", I2M_WORKER_CONCURRENCY="6")
        before = await fleet.job(job_id)
        await fleet.until(job_id, lambda job, before=before: job.counts != before.counts)
        worker.send(signal.SIGKILL)
        await worker.exit_code()
    for _ in range(2):
        fleet.start_worker(I2M_UNCONFIRMED_GRACE="5")
    job = await fleet.until_finished(job_id, timeout=90)
    inputs = sent(fleet, job)
    unconfirmed = [image for image in job.images if image.error]
    assert {image.error.code for image in unconfirmed if image.error} <= {"submission_unconfirmed"}
    assert job.counts.succeeded + len(unconfirmed) == OBJECTS
    for one in inputs.values():
        check_sides(fleet, one)


@pytest.mark.long
async def test_request_whose_reply_is_lost_is_found_by_its_first_view(fleet: Fleet) -> None:
    client = await client_of(fleet)
    fleet.start_worker(I2M_UNCONFIRMED_GRACE="8")
    fleet.emulator.fault("drop_after_accept", count=2)
    job = await client.upload(four_views(2, model=SIDED))
    assert job.counts == Counts(succeeded=2)
    assert len(sent(fleet, job)) == 2
    listed = Body()
    for seed in range(3):
        part(listed, "objects[list]", view(seed), f"{seed}.png")
    fleet.emulator.fault("drop_after_accept", count=1)
    job = await client.upload(listed.text("model", LIST).text("max_cost_usd", "5"))
    assert job.counts == Counts(succeeded=1)
    assert [width_at(fleet, url) for url in sent(fleet, job)["list"]["image_urls"]] == [20, 21, 22]


@pytest.mark.long
async def test_view_that_cannot_be_decoded_ends_its_object_before_it_is_bought(fleet: Fleet) -> None:
    """The upload looks at a picture's structure, and the worker at its pixels."""
    client = await client_of(fleet)
    job_id = await client.post(four_views(2, model=SIDED))
    broken = (await fleet.job(job_id)).images[0]
    key = layout.original(job_id, broken.views[2].file_id, "png")
    await fleet.storage.put(key, b"\x89PNG\r\n\x1a\nnonsense", content_type="image/png")
    gone = (await fleet.job(job_id)).images[1]
    await fleet.storage.delete([layout.original(job_id, gone.views[3].file_id, "png")])
    fleet.start_worker()
    job = await fleet.until_finished(job_id)
    assert failed_codes(job) == ["image_unreadable", "storage_failed"]
    assert fleet.emulator.submissions() == []


@pytest.mark.long
async def test_view_that_ends_its_decoder_fails_its_object_alone(fleet: Fleet) -> None:
    """The third of four: the two before it are at FAL by then, and nothing is bought."""
    client = await client_of(fleet)
    body = four_views(3, model=SIDED)
    for side, data in (("front", view(1, 9)), ("back", view(2, 9)), ("left", view(3, 9) + SPOILT)):
        part(body, f"objects[spoilt][{side}]", data, f"{side}.png")
    for _ in range(2):
        fleet.start_faulty_worker(FAULT_STEP="prepare", FAULT_KIND="hang", FAULT_LONGEST="4")
    job = await fleet.until_finished(await client.post(body), timeout=150)
    assert job.counts == Counts(succeeded=3, failed=1)
    assert failed_codes(job) == ["worker_crashed"]
    assert sorted(sent(fleet, job)) == ["o0", "o1", "o2"]


@pytest.mark.long
async def test_views_and_a_plain_picture_of_one_job_are_three_requests(fleet: Fleet) -> None:
    client = await client_of(fleet)
    fleet.start_worker()
    body = part(four_views(1, model=SIDED), "objects[one][front]", view(6))
    job = await client.upload(body.file("plain.png", view(7)))
    assert job.counts == Counts(succeeded=3)
    inputs = sent(fleet, job)
    check_sides(fleet, inputs["o0"])
    for name, width in (("one", 26), ("plain.png", 27)):
        assert {field: width_at(fleet, url) for field, url in inputs[name].items()} == {
            "front_image_url": width
        }
    document = await client.document(job.job_id)
    assert [len(image["views"]) for image in document["images"]] == [4, 1, 1]
