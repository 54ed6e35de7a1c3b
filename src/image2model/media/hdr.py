"""High dynamic range, PQ and HLG, as a browser shows it on an ordinary screen.

Such values say how many nits a pixel has, up to 10,000, where ordinary white has 203. They become sRGB by a
table over all colours, because the largest of the three channels decides how much a pixel is dimmed.

Sources: ITU-R BT.2100 (both curves), BT.2408 (203 nits). The dimming is that of Chromium 156 as measured on
ramps of each primary colour: halved, and above white bent so that 1,000 nits are the brightest.
"""

import math
from functools import lru_cache
from typing import Final, NamedTuple

from PIL import ImageFilter

from image2model.media.colour import BT2020, PRIMARIES, Matrix, Vector, apply, between, encode_srgb

PQ: Final = 16
HLG: Final = 18
"""H.273's TransferCharacteristics."""
_WHITE: Final = 203.0
_BRIGHTEST: Final = 1000.0 / _WHITE
_BEND: Final = 1.63
"""Where the two tangents of the bent part meet."""
_POINTS: Final = 65
_LUMINANCE: Final[Vector] = (0.2627, 0.6780, 0.0593)


def is_hdr(primaries: int, transfer: int) -> bool:
    """Whether these code points of H.273 are PQ or HLG of primaries that are known."""
    return transfer in (PQ, HLG) and primaries in PRIMARIES


class Tables(NamedTuple):
    """First `shape` each channel, then look up all three: in steps of what is shown, few points suffice."""

    shape: list[int]
    colours: ImageFilter.Color3DLUT


@lru_cache(maxsize=4)
def tables(primaries: int, transfer: int) -> Tables:
    """The tables from 8-bit RGB values to 8-bit sRGB."""
    wide = between(PRIMARIES[primaries], PRIMARIES[BT2020])
    narrow = between(PRIMARIES[BT2020], PRIMARIES[1])
    curve = _pq if transfer == PQ else _hlg
    bright = 1.0 if transfer == PQ else _BRIGHTEST
    shape = [encode_srgb(_dimmed(bright * curve(value / 255))) for value in range(256)]
    steps = [_light_of(index / (_POINTS - 1), bright) for index in range(_POINTS)]
    values: list[float] = []
    for blue in steps:
        for green in steps:
            for red in steps:
                values += _shown((red, green, blue), wide, narrow, hlg=transfer == HLG)
    return Tables([round(255 * value) for value in shape], ImageFilter.Color3DLUT(_POINTS, values))


def _light_of(shaped: float, bright: float) -> float:
    """The light that is shown so, up to the brightest that is."""
    low, high = 0.0, _BRIGHTEST
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if encode_srgb(_dimmed(middle)) < shaped else (low, middle)
    return high / bright


def _shown(light: Vector, wide: Matrix, narrow: Matrix, *, hlg: bool) -> Vector:
    """sRGB values, 0 to 1, of light where 1 is white (PQ) or the brightest (HLG)."""
    red, green, blue = apply(wide, light)
    if hlg:
        luminance = max(0.0, sum(a * b for a, b in zip(_LUMINANCE, (red, green, blue), strict=True)))
        gain = luminance**0.2 * _BRIGHTEST
        red, green, blue = red * gain, green * gain, blue * gain
    largest = max(red, green, blue)
    dimmed = _dimmed(largest) / largest if largest > 0 else 0.0
    first, second, third = apply(narrow, (red * dimmed, green * dimmed, blue * dimmed))
    return encode_srgb(first), encode_srgb(second), encode_srgb(third)


def _dimmed(light: float) -> float:
    """What light of so many times white becomes: a straight line, then a parabola."""
    if light <= 1:
        return light / 2
    if light >= _BRIGHTEST:
        return 1.0
    square, linear = 1 - 2 * _BEND + _BRIGHTEST, 2 * (_BEND - 1)
    at = (math.sqrt(linear * linear + 4 * square * (light - 1)) - linear) / (2 * square)
    return 0.5 * (1 - at) ** 2 + _BEND * at * (1 - at) + at * at


def _pq(value: float) -> float:
    """Light as a multiple of white."""
    root = value ** (32 / 2523)
    return float(
        10_000 / _WHITE * (max(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)) ** (8192 / 1305)
    )


def _hlg(value: float) -> float:
    """The light of the scene, 0 to 1."""
    if value <= 0.5:
        return value * value / 3
    return (math.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12
