"""What FAL gets of a PNG's colours, beside what a real browser shows of the same file."""

import base64
import io
import itertools
import random
import struct
import zlib
from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from PIL import Image, ImageCms
from playwright.async_api import Page, async_playwright

from image2model.media.preflight import prepare
from tests.support.pictures import chunk, png_of, scene, swapped_profile

MEAN, MOST = 2.0, 8
"""How far the pixels may be from the browser's, of 255."""
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
_DRAW = """async data => {
  const image = new Image()
  image.src = 'data:image/png;base64,' + data
  await image.decode()
  const canvas = document.createElement('canvas')
  canvas.width = image.naturalWidth
  canvas.height = image.naturalHeight
  const context = canvas.getContext('2d')
  context.drawImage(image, 0, 0)
  return canvas.toDataURL('image/png').split(',')[1]
}"""
ADAM7 = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
)  # fmt: skip
RAMP = np.arange(256, dtype=np.uint8)


def ramps() -> np.ndarray:
    """Every value of grey and of each primary colour, and a picture."""
    rows = [np.repeat(RAMP[:, None], 3, axis=1)]
    for channel in range(3):
        rows.append(np.zeros((256, 3), np.uint8))
        rows[-1][:, channel] = RAMP
    picture = np.asarray(scene((256, 60), 7))
    return np.concatenate([np.repeat(np.stack(rows), 4, axis=0), picture])


def coloured(*chunks: tuple[bytes, bytes]) -> bytes:
    """The ramps, with these chunks before the pixels."""
    pixels = ramps()
    return with_chunks(png_of(256, len(pixels), 8, 2, filtered(pixels.reshape(len(pixels), -1))), *chunks)


def grey(*chunks: tuple[bytes, bytes]) -> bytes:
    return with_chunks(png_of(256, 16, 8, 0, filtered(np.repeat(RAMP[None], 16, axis=0))), *chunks)


def with_chunks(png: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    return png[:33] + b"".join(itertools.starmap(chunk, chunks)) + png[33:]


def filtered(rows: np.ndarray) -> bytes:
    """Each row with the filter None."""
    return b"".join(b"\x00" + row.tobytes() for row in rows)


def cicp(primaries: int, transfer: int, *, full_range: int = 1) -> tuple[bytes, bytes]:
    return b"cICP", bytes([primaries, transfer, 0, full_range])


def gama(value: int) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", value)


def chrm(*corners: float) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(100_000 * value) for value in corners))


def iccp(profile: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"any name\x00\x00" + zlib.compress(profile)


def linear_named_srgb() -> bytes:
    """What drawing programs write for linear light: its description says sRGB."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack_from(">I", profile, 128)
    for entry in range(132, 132 + 12 * count, 12):
        tag, start, _ = struct.unpack_from(">4sII", profile, entry)
        if tag in (b"rTRC", b"gTRC", b"bTRC"):
            profile[start : start + 12] = b"curv" + bytes(8)
    return bytes(profile)


def colour_cases() -> Iterator[tuple[str, bytes]]:
    for primaries in (0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 22):
        yield f"cICP {primaries} 13", coloured(cicp(primaries, 13))
    for transfer in (0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18):
        yield f"cICP 1 {transfer}", coloured(cicp(1, transfer))
    for primaries, transfer in itertools.product((9, 12), (8, 16, 18)):
        yield f"cICP {primaries} {transfer}", coloured(cicp(primaries, transfer))
    yield "cICP before sRGB", coloured(cicp(1, 8), (b"sRGB", b"\x00"))
    yield "cICP before iCCP", coloured(cicp(1, 8), iccp(swapped_profile()))
    yield "cICP of sRGB before gAMA", coloured(cicp(1, 13), gama(100_000))
    yield "grey cICP", grey(cicp(1, 8))
    for value in (0, 1, 30_000, 45_455, 47_000, 50_000, 100_000):
        yield f"gAMA {value}", coloured(gama(value))
    display_p3 = chrm(0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
    adobe = chrm(0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
    yield "cHRM alone", coloured(display_p3)
    yield "cHRM and gAMA", coloured(display_p3, gama(45_455))
    yield "cHRM and linear", coloured(display_p3, gama(100_000))
    yield "cHRM of Adobe RGB", coloured(adobe, gama(45_470))
    yield "sRGB before gAMA", coloured((b"sRGB", b"\x00"), gama(100_000))
    yield "grey gAMA", grey(gama(50_000))
    yield "iCCP named sRGB", coloured(iccp(linear_named_srgb()))
    yield "iCCP before gAMA", coloured(iccp(swapped_profile()), gama(100_000))
    yield "broken iCCP, gAMA", coloured((b"iCCP", b"broken"), gama(100_000))


def filtered_at_random(rows: np.ndarray, step: int, rng: random.Random) -> bytes:
    """PNG rows, each with a filter of its own; `step` is how many bytes a pixel has."""
    before, out = np.zeros(rows.shape[1], np.int32), []
    for row in rows.astype(np.int32):
        left = np.concatenate([np.zeros(step, np.int32), row[:-step]])
        corner = np.concatenate([np.zeros(step, np.int32), before[:-step]])
        guess = left + before - corner
        near = np.abs(guess - left), np.abs(guess - before), np.abs(guess - corner)
        paeth = np.where(
            (near[0] <= near[1]) & (near[0] <= near[2]), left, np.where(near[1] <= near[2], before, corner)
        )
        kind = rng.randrange(5)
        predicted = (0 * row, left, before, (left + before) // 2, paeth)[kind]
        out.append(bytes([kind]) + ((row - predicted) % 256).astype(np.uint8).tobytes())
        before = row
    return b"".join(out)


def transparent_cases() -> Iterator[tuple[str, bytes]]:
    """16-bit pixels of two values that only the lower bytes part; one of them is transparent."""
    rng = random.Random(5)
    for colour, channels in ((0, 1), (2, 3)):
        key = [0x1234, 0x5678, 0x9ABC][:channels]
        near = [[0x1234, 0x5678, 0x9ABD], [0x12FF, 0x5678, 0x9ABC], [0x1334, 0x5678, 0x9ABC]]
        values = np.array([key, *(one[:channels] for one in near)], np.uint16)
        pixels = values[np.random.default_rng(3).integers(0, 4, (24, 32))]
        rows = pixels.astype(">u2").reshape(24, -1).view(np.uint8)
        plain = png_of(32, 24, 16, colour, filtered_at_random(rows, 2 * channels, rng))
        name = struct.pack(f">{channels}H", *key)
        yield f"16 bits, {channels} channels", with_chunks(plain, (b"tRNS", name))
        interlaced = b"".join(
            filtered_at_random(part.reshape(len(part), -1).view(np.uint8), 2 * channels, rng)
            for left, top, across, down in ADAM7
            if (part := np.ascontiguousarray(pixels[top::down, left::across].astype(">u2"))).size
        )  # fmt: skip
        yield (
            f"16 bits, {channels} channels, interlaced",
            with_chunks(png_of(32, 24, 16, colour, interlaced, interlaced=True), (b"tRNS", name)),
        )


async def shown(page: Page, png: bytes) -> Image.Image:
    drawn = await page.evaluate(_DRAW, base64.b64encode(png).decode())
    return Image.open(io.BytesIO(base64.b64decode(drawn))).convert("RGBA")


def sent(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(prepare(png, max_pixels=1_000_000).data)).convert("RGBA")


def distance(left: Image.Image, right: Image.Image) -> tuple[float, int]:
    """The mean and the largest difference of two pictures as they look; what is transparent has no colour."""
    pixels = [np.asarray(image).astype(int) for image in (left, right)]
    for one in pixels:
        one[one[..., 3] == 0] = 0
    apart = np.abs(pixels[0] - pixels[1])
    return float(apart.mean()), int(apart.max())


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_fal_gets_the_colours_that_a_browser_shows() -> None:
    cases: Mapping[str, bytes] = dict([*colour_cases(), *transparent_cases()])
    wrong = {}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=_FLAGS)
        page = await browser.new_page()
        for name, png in cases.items():
            mean, most = distance(await shown(page, png), sent(png))
            if mean > MEAN or most > MOST:
                wrong[name] = (round(mean, 2), most)
        await browser.close()
    assert len(cases) > 50
    assert wrong == {}


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt", b"iTXt packed"])
@pytest.mark.parametrize("keyword", [b"Raw profile type exif", b"Raw profile type APP1"])
def test_exif_in_a_text_turns_the_picture(kind: bytes, keyword: bytes) -> None:
    exif = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0)
    text = b"\nexif\n" + f"{len(exif):8d}\n".encode() + exif.hex().encode() + b"\n"
    content = {
        b"tEXt": keyword + b"\x00" + text,
        b"zTXt": keyword + b"\x00\x00" + zlib.compress(text),
        b"iTXt": keyword + b"\x00\x00\x00\x00\x00" + text,
        b"iTXt packed": keyword + b"\x00\x01\x00en\x00\x00" + zlib.compress(text),
    }[kind]
    plain = png_of(6, 4, 8, 0, filtered(np.arange(24, dtype=np.uint8).reshape(4, 6)))
    assert sent(with_chunks(plain, (kind[:4], content))).size == (4, 6)
    broken = with_chunks(plain, (kind[:4], content[: len(keyword) + 9]))
    assert sent(broken).size == (6, 4)
    upright = b"MM\x00*\x00\x00\x00\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, 1, 0, 0)
    assert sent(with_chunks(plain, (kind[:4], content), (b"eXIf", upright))).size == (6, 4)
