"""Pictures of many kinds, made from a seed. Used by tests as what a user would upload."""

import io

import numpy as np
from PIL import Image


def picture(
    seed: int = 0, size: tuple[int, int] = (64, 48), mode: str = "RGB", fmt: str = "PNG", **options: object
) -> bytes:
    """An encoded picture of smooth random colours; the same seed gives the same picture."""
    buffer = io.BytesIO()
    image(seed, size, mode).save(buffer, fmt, **options)
    return buffer.getvalue()


def image(seed: int = 0, size: tuple[int, int] = (64, 48), mode: str = "RGB") -> Image.Image:
    """The same, not yet encoded. `I;16` is 16-bit grey."""
    random = np.random.default_rng(seed)
    if mode == "I;16":
        return Image.fromarray(random.integers(0, 65536, (size[1], size[0]), dtype=np.uint16))
    coarse = random.integers(0, 256, (7, 9, 4), dtype=np.uint8)
    smooth = Image.fromarray(coarse, "RGBA").resize(size, Image.Resampling.BICUBIC)
    return smooth if mode == "RGBA" else smooth.convert("RGB").convert(mode)
