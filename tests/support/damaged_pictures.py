"""Files of the newer picture formats, and what damage makes of them, drawn from the caller's seed."""

import io
import random
from collections.abc import Callable, Sequence
from typing import Final

from tests.support.pictures import in_mode, picture, scene

_SIZE: Final = (72, 56)
_WIDE: Final = (
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x00\x01\x00\x00",
    b"\x00\x00\x00\x01",
)
_NARROW: Final = (b"\x00\x00", b"\xff\xff", b"\x7f\xff", b"\x01\x00", b"\x00\x01")


def samples(name: str) -> list[bytes]:
    """Whole files of a format: heic, avif, gif, tiff or bmp. Several modes, compressions and frames."""
    if name == "heic":
        modes = ("RGB", "RGBA", "L")
        return [picture(name, _SIZE, mode, frames=frames) for mode in modes for frames in (1, 2)]
    if name == "avif":
        plain = [picture(name, _SIZE, mode) for mode in ("RGB", "RGBA", "L")]
        return [*plain, picture(name, _SIZE, orientation=6), picture(name, _SIZE, frames=3)]
    if name == "gif":
        plain = [_saved("P", "GIF", interlace=number) for number in (0, 1)]
        return [*plain, picture(name, _SIZE, frames=3), _saved("L", "GIF")]
    if name == "tiff":
        packings: tuple[str | None, ...] = (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
        plain = [_saved("RGB", "TIFF", compression=packing) for packing in packings]
        other = ("L", "P", "RGBA", "I;16", "CMYK", "1")
        plain += [_saved(mode, "TIFF", compression="tiff_lzw") for mode in other]
        return [*plain, picture(name, _SIZE, frames=3)]
    return [_saved(mode, "BMP") for mode in ("RGB", "RGBA", "L", "P", "1")]


def _saved(mode: str, program: str, **options: object) -> bytes:
    file = io.BytesIO()
    image = scene(_SIZE, 3).convert("1") if mode == "1" else in_mode(scene(_SIZE, 3), mode)
    image.save(file, program, **{name: value for name, value in options.items() if value is not None})
    return file.getvalue()


def damaged(draw: random.Random, good: Sequence[bytes]) -> bytes:
    """One of the files, damaged in one to three ways; now and then whole."""
    data = bytearray(draw.choice(good))
    for _ in range(draw.choice((0, 1, 1, 1, 2, 3))):
        if data:
            draw.choice(_WAYS)(draw, data, good)
    return bytes(data)


def _flip(draw: random.Random, data: bytearray, __: Sequence[bytes]) -> None:
    for _ in range(draw.randint(1, 8)):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def _scramble_the_end(draw: random.Random, data: bytearray, __: Sequence[bytes]) -> None:
    """The head stays whole, so the decoder gets to the pixels."""
    start = draw.randrange(len(data) // 2, len(data))
    for _ in range(draw.randint(1, 30)):
        data[draw.randrange(start, len(data))] = draw.randrange(256)


def _overwrite_a_number(draw: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    number = draw.choice(draw.choice((_WIDE, _NARROW)))
    number = number if draw.random() < 0.5 else number[::-1]
    at = draw.randrange(len(data))
    data[at : at + len(number)] = number[: len(data) - at]


def _cut_off(draw: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    del data[draw.randrange(len(data)) :]


def _take_out(draw: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    start = draw.randrange(len(data))
    del data[start : start + draw.randint(1, 64)]


def _repeat(draw: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    start = draw.randrange(len(data))
    piece = data[start : start + draw.randint(1, 64)]
    data[start:start] = piece * draw.randint(1, 20)


def _splice(draw: random.Random, data: bytearray, good: Sequence[bytes]) -> None:
    other = draw.choice(good)
    at = draw.randrange(min(len(data), len(other)))
    data[at:] = other[at:]


_WAYS: Final[tuple[Callable[[random.Random, bytearray, Sequence[bytes]], None], ...]] = (
    _flip,
    _flip,
    _scramble_the_end,
    _scramble_the_end,
    _overwrite_a_number,
    _overwrite_a_number,
    _cut_off,
    _take_out,
    _repeat,
    _splice,
)
