"""Pictures that are larger than FAL's endpoint takes: sent as large as it does, said in the document."""

import io
from typing import Any, Final

import httpx
import numpy as np
import pytest
from PIL import Image

from image2model.domain import Counts, Preparation, ScaledPicture
from image2model.store.records import JobSnapshot
from tests.support.fleet import Fleet, failed_codes
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.pictures import chunk, picture, png_of, scene
from tests.support.ports import free_port

TRIPO: Final = "tripo3d/tripo/v2.5/image-to-3d"
IN_WORDS: Final = "fal-ai/hunyuan-3d/v3.1/pro/image-to-3d"
REMOVER: Final = "fal-ai/bria/background/remove"
WIDE: Final = (6400, 48)


def wide(size: tuple[int, int] = WIDE) -> bytes:
    return picture("png", size)


def sent(fleet: Fleet, url: str) -> Image.Image:
    answer = fleet.emulator.http.get(url).raise_for_status()
    return Image.open(io.BytesIO(answer.content))


async def ended(fleet: Fleet, job_id: str) -> JobSnapshot:
    """The job's end: encoding large pictures takes long on a busy machine."""
    return await fleet.until_finished(job_id, timeout=100)


def inputs(fleet: Fleet) -> list[dict[str, Any]]:
    return [entry["input"] for entry in fleet.emulator.submissions()]


@pytest.mark.parametrize(
    ("model", "field", "size"),
    [
        (TRIPO, "image_url", (6000, 45)),
        (IN_WORDS, "input_image_url", (5000, 38)),
        ("fal-ai/trellis", "image_url", (6000, 45)),
    ],
)
async def test_picture_is_sent_as_large_as_the_model_takes(
    fleet: Fleet, model: str, field: str, size: tuple[int, int]
) -> None:
    fleet.start_worker()
    job = await ended(fleet, await fleet.submit(pictures=[wide()], model=model))
    assert job.counts == Counts(succeeded=1), failed_codes(job)
    assert sent(fleet, inputs(fleet)[0][field]).size == size
    (image,) = job.images
    assert image.scaled == (
        ScaledPicture(model=model, from_width=6400, from_height=48, width=size[0], height=size[1]),
    )


@pytest.mark.long
async def test_file_of_too_many_bytes_is_sent_with_fewer(fleet: Fleet) -> None:
    noisy = np.random.default_rng(2).integers(0, 256, (1800, 1800, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noisy).save(out, "PNG", compress_level=1)
    fleet.start_worker()
    job = await ended(fleet, await fleet.submit(pictures=[out.getvalue()], model=IN_WORDS))
    assert job.counts == Counts(succeeded=1), failed_codes(job)
    answer = fleet.emulator.http.get(inputs(fleet)[0]["input_image_url"])
    assert len(answer.content) <= 8_000_000


async def test_long_strip_becomes_a_model(fleet: Fleet) -> None:
    palette = chunk(b"PLTE", bytes([200, 30, 30]))
    rows = png_of(66_000, 64, 8, 3, (b"\x00" + bytes(66_000)) * 64)
    fleet.start_worker()
    job = await ended(
        fleet, await fleet.submit(pictures=[rows[:33] + palette + rows[33:]], model="fal-ai/trellis")
    )
    assert job.counts == Counts(succeeded=1), failed_codes(job)
    assert sent(fleet, inputs(fleet)[0]["image_url"]).size == (6000, 6)


async def test_each_step_of_a_prepared_picture_says_its_own(fleet: Fleet) -> None:
    preparation = Preparation(remove_background=REMOVER)
    fleet.start_worker()
    job = await ended(fleet, await fleet.submit(pictures=[wide()], model=IN_WORDS, preparation=preparation))
    assert job.counts == Counts(succeeded=1), failed_codes(job)
    (image,) = job.images
    assert image.preparation is not None
    assert [(one.width, one.height) for one in image.preparation.files] == [(5000, 38)]
    assert sorted((one.model, one.from_width, one.width) for one in image.scaled) == [
        (REMOVER, 6400, 6000),
        (IN_WORDS, 6000, 5000),
    ]


async def test_document_says_it_from_the_preparation_on(fleet: Fleet) -> None:
    port = free_port()
    await fleet.start_api(port)
    body = Body().text("model", TRIPO).file("wide.png", wide()).file("small.jpg", picture("jpeg", (200, 100)))
    url = f"http://127.0.0.1:{port}/api/v1"
    async with httpx.AsyncClient(timeout=60) as http:
        made = (
            await http.post(
                f"{url}/upload/batch", content=bytes(body), headers={"Content-Type": CONTENT_TYPE}
            )
        ).json()
        assert [one["warnings"] for one in made["images"]] == [[], []]
        fleet.start_worker()
        await ended(fleet, made["job_id"])
        status = (await http.get(f"{url}/status/{made['job_id']}")).json()
    wide_one, small_one = status["images"]
    assert wide_one["warnings"] == [
        {
            "code": "scaled",
            "file": "wide.png",
            "message": f"Scaled from 6400 × 48 to 6000 × 45 pixels: {TRIPO} takes no larger picture.",
        }
    ]
    assert (wide_one["width"], wide_one["height"]) == WIDE
    assert small_one["warnings"] == []


@pytest.mark.long
async def test_pictures_of_48_megapixels_become_models(fleet: Fleet) -> None:
    """A JPEG on its side, as phones write it, and a HEIC."""
    port = free_port()
    await fleet.start_api(port)
    fleet.start_worker()
    base = scene((8064, 6048), 3)
    body = Body().text("model", TRIPO)
    body.file("phone.jpg", picture("jpeg", base=base, orientation=6, quality=90))
    body.file("phone.heic", picture("heic", base=base))
    url = f"http://127.0.0.1:{port}/api/v1"
    async with httpx.AsyncClient(timeout=110) as http:
        answer = await http.post(
            f"{url}/upload/batch", content=bytes(body), headers={"Content-Type": CONTENT_TYPE}
        )
        assert answer.status_code == 202, answer.text
        job = await ended(fleet, answer.json()["job_id"])
    assert job.counts == Counts(succeeded=2), failed_codes(job)
    urls = [entry["input"]["image_url"] for entry in fleet.submissions_of(job)]
    assert sorted(sent(fleet, one).size for one in urls) == [(4500, 6000), (6000, 4500)]
