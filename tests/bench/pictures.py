"""Pictures to upload, made before anything is timed: distinct, smooth, valid PNGs, and one of noise.

Who calls it: the rows.
"""

import io

import numpy as np
from PIL import Image

from tests.support.multipart_body import Body

_SIDE_OF_4_MB = 1183
_SIDE_OF_100_KB = 183


def small(count: int) -> list[bytes]:
    """`count` pictures of 256 x 256 px."""
    return [_png(seed, 256, compress_level=1) for seed in range(count)]


def large(count: int) -> list[bytes]:
    """`count` pictures of 4.2 MB, not compressed."""
    return [_png(seed, _SIDE_OF_4_MB, compress_level=0) for seed in range(count)]


def of_100_kb(count: int) -> list[bytes]:
    """`count` pictures of 100 KB, not compressed."""
    return [_png(seed, _SIDE_OF_100_KB, compress_level=0) for seed in range(count)]


def noisy() -> bytes:
    """One JPEG of 6 megapixels and 14.5 MB that no codec makes smaller, as a camera's at its worst."""
    noise = np.random.default_rng(7).integers(0, 256, (2000, 3000, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise, "RGB").save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def batch(pictures: list[bytes]) -> bytes:
    """A multipart body with all of them."""
    body = Body()
    for number, data in enumerate(pictures):
        body.file(f"{number}.png", data)
    return bytes(body)


def _png(seed: int, side: int, *, compress_level: int) -> bytes:
    ramp = np.arange(side, dtype=np.uint32)
    plane = (ramp[:, None] * (seed % 7 + 1) + ramp[None, :] + seed * 31) % 256
    pixels = np.stack([plane, plane.T, np.full_like(plane, seed % 256)], axis=-1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGB").save(buffer, "PNG", compress_level=compress_level)
    return buffer.getvalue()
