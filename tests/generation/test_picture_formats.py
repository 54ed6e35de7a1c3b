"""Pictures of phones and other tools through real processes: what FAL gets, and what the page shows."""

import io
from typing import Final

import httpx
import pytest
from PIL import Image

from image2model.domain import Counts
from tests.support.fleet import Fleet, failed_codes
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.pictures import picture
from tests.support.ports import free_port

FORMATS: Final = ("heic", "avif", "gif", "tiff", "bmp")
SIZE: Final = (120, 80)

pytestmark = pytest.mark.long


def sent_pictures(fleet: Fleet, urls: list[str]) -> list[Image.Image]:
    answers = (fleet.emulator.http.get(url).raise_for_status() for url in urls)
    return [Image.open(io.BytesIO(answer.content)) for answer in answers]


async def test_every_format_becomes_a_model(fleet: Fleet) -> None:
    port = free_port()
    await fleet.start_api(port)
    fleet.start_worker()
    body = Body()
    for name in FORMATS:
        body.file(f"photo.{name}", picture(name, SIZE))
    url = f"http://127.0.0.1:{port}/api/v1"
    async with httpx.AsyncClient(timeout=60) as http:
        answer = await http.post(
            f"{url}/upload/batch", content=bytes(body), headers={"Content-Type": CONTENT_TYPE}
        )
        assert answer.status_code == 202, answer.text
        made = answer.json()
        assert [(one["width"], one["height"]) for one in made["images"]] == [SIZE] * len(FORMATS)
        job = await fleet.until_finished(made["job_id"], timeout=90)
        assert job.counts == Counts(succeeded=len(FORMATS)), failed_codes(job)
        for one in made["images"]:
            small = await http.get(f"{url}/images/{made['job_id']}/{one['image_id']}/thumbnail")
            with Image.open(io.BytesIO(small.content)) as shown:
                assert (shown.format, shown.size) == ("WEBP", SIZE)
    urls = [entry["input"]["image_url"] for entry in fleet.submissions_of(job)]
    for sent in sent_pictures(fleet, urls):
        assert sent.format in ("PNG", "JPEG")
        assert sent.size == SIZE


async def test_thumbnail_is_made_where_no_worker_has_made_one(fleet: Fleet) -> None:
    port = free_port()
    await fleet.start_api(port)
    body = Body()
    for name in FORMATS:
        body.file(f"photo.{name}", picture(name, SIZE))
    url = f"http://127.0.0.1:{port}/api/v1"
    async with httpx.AsyncClient(timeout=60) as http:
        answer = await http.post(
            f"{url}/upload/batch", content=bytes(body), headers={"Content-Type": CONTENT_TYPE}
        )
        made = answer.json()
        for one in made["images"]:
            small = await http.get(f"{url}/images/{made['job_id']}/{one['image_id']}/thumbnail")
            assert small.status_code == 200, small.text
            with Image.open(io.BytesIO(small.content)) as shown:
                assert (shown.format, shown.size) == ("WEBP", SIZE)
