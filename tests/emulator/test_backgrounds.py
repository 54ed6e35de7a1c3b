"""What removes backgrounds gives a picture with alpha, made of the posted one, of the same size."""

import io
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageDraw

from tests.support.emulator import RunningEmulator
from tests.support.sketches import picture

BRIA = "fal-ai/bria/background/remove"
BIREFNET = "fal-ai/birefnet/v2"


def disc(colour: str = "navy", ground: str = "white", size: tuple[int, int] = (90, 60)) -> bytes:
    """A disc in the middle third of a plain picture."""
    image = Image.new("RGB", size, ground)
    wide, high = size
    ImageDraw.Draw(image).ellipse((wide // 3, high // 3, 2 * wide // 3, 2 * high // 3), fill=colour)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


async def _cut(emulator: RunningEmulator, data: bytes, endpoint: str = BRIA, **more: Any) -> Image.Image:
    result = await emulator.result({"image_url": await emulator.upload(data), **more}, endpoint)
    assert result.status_code == 200, result.text
    file = result.json()["image"]
    made = (await emulator.http.get(file["url"])).content
    opened = Image.open(io.BytesIO(made))
    assert made != data
    assert (file["file_size"], file["width"], file["height"]) == (len(made), *opened.size)
    assert file["content_type"] == f"image/{(opened.format or '').lower()}"
    return opened


@pytest.mark.parametrize("endpoint", [BRIA, "fal-ai/birefnet", BIREFNET])
async def test_the_colour_of_the_border_is_gone(emulator: RunningEmulator, endpoint: str) -> None:
    made = await _cut(emulator, disc(), endpoint)

    assert (made.mode, made.size, made.format) == ("RGBA", (90, 60), "PNG")
    assert made.getpixel((45, 30)) == (0, 0, 128, 255)
    assert [made.getpixel(at)[3] for at in ((0, 0), (89, 59), (10, 30))] == [0, 0, 0]  # type: ignore[index]


async def test_a_border_of_many_colours_leaves_an_ellipse(emulator: RunningEmulator) -> None:
    alpha = (await _cut(emulator, picture(1, (80, 40)))).getchannel("A")

    assert alpha.size == (80, 40)
    assert [alpha.getpixel(at) for at in ((0, 0), (40, 20), (79, 39))] == [0, 255, 0]


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (300, 2)])
async def test_any_size_is_kept(emulator: RunningEmulator, size: tuple[int, int]) -> None:
    assert (await _cut(emulator, picture(2, size))).size == size


async def test_a_picture_that_is_cut_out_already_is_another_file(emulator: RunningEmulator) -> None:
    first = await emulator.result({"image_url": await emulator.upload(disc())}, BRIA)
    url = first.json()["image"]["url"]
    again = await emulator.result({"image_url": url}, BRIA)
    made = [(await emulator.http.get(one)).content for one in (url, again.json()["image"]["url"])]
    pictures = [Image.open(io.BytesIO(one)) for one in made]

    seen = [ImageChops.multiply(one.convert("RGB"), one.getchannel("A").convert("RGB")) for one in pictures]

    assert made[0] != made[1]
    assert pictures[0].info == {}
    assert seen[0].tobytes() == seen[1].tobytes()
    assert pictures[0].getchannel("A").tobytes() == pictures[1].getchannel("A").tobytes()


async def test_birefnet_gives_the_format_and_the_mask_that_it_is_asked_for(emulator: RunningEmulator) -> None:
    made = await _cut(emulator, disc(), BIREFNET, output_format="webp")
    plain = await emulator.result({"image_url": await emulator.upload(disc())}, BIREFNET)
    masked = await emulator.result(
        {"image_url": await emulator.upload(disc()), "output_mask": True}, BIREFNET
    )
    mask = Image.open(io.BytesIO((await emulator.http.get(masked.json()["mask_image"]["url"])).content))

    assert (made.format, made.mode) == ("WEBP", "RGBA")
    assert "mask_image" not in plain.json()
    assert (mask.mode, mask.getpixel((0, 0)), mask.getpixel((45, 30))) == ("L", 0, 255)


async def test_a_model_file_is_no_cut_out(emulator: RunningEmulator) -> None:
    await emulator.http.post(
        "/_emulator/model-files", content=b"glTF", headers={"X-Fal-File-Name": "chair.glb"}
    )
    assert (await _cut(emulator, disc())).size == (90, 60)


@pytest.mark.parametrize(
    ("arguments", "kind", "field"),
    [
        ({}, "missing", "image_url"),
        ({"image_url": "data:image/png;base64,AAAA"}, "image_load_error", "image_url"),
        ({"image_url": "data:,x", "model": "Best"}, "literal_error", "model"),
    ],
)
async def test_a_wrong_input_is_refused(
    emulator: RunningEmulator, arguments: dict[str, object], kind: str, field: str
) -> None:
    result = await emulator.result(arguments, BIREFNET)

    assert result.status_code == 422
    assert [(one["type"], one["loc"]) for one in result.json()["detail"]] == [(kind, ["body", field])]


async def test_faults_of_the_model_file_are_the_pictures(emulator: RunningEmulator) -> None:
    url = await emulator.upload(disc())
    cut = await emulator.result({"image_url": url}, BRIA, X_Emulator_Fault="model_truncated")
    gone = await emulator.result({"image_url": url}, BRIA, X_Emulator_Fault="model_missing")
    half = await emulator.http.get(cut.json()["image"]["url"])

    assert len(half.content) == cut.json()["image"]["file_size"] // 2
    assert (await emulator.http.get(gone.json()["image"]["url"])).status_code == 404


async def test_a_cut_out_costs_what_its_page_says(emulator: RunningEmulator) -> None:
    await emulator.result({"image_url": await emulator.upload(disc())}, BRIA)

    assert (await emulator.ledger())["submissions"][0]["billed_usd"] == 0.018
