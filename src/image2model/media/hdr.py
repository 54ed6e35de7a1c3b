"""High dynamic range, PQ and HLG, as a browser shows it on an ordinary screen.

Such values say how many nits a pixel has, up to 10,000, where ordinary white has 203. The largest of the
three channels decides how much a pixel is dimmed, so no colour profile can say it: it is computed.

Sources: ITU-R BT.2100 (both curves), BT.2408 (203 nits). The dimming is that of Chromium 156 as measured on
ramps of each primary colour: halved, and above white bent so that 1,000 nits are the brightest.
"""

import math
from functools import lru_cache
from typing import Any, Final

from PIL import Image, ImageMath

from image2model.media.colour import BT2020, PRIMARIES, Matrix, between, encode_srgb

PQ: Final = 16
HLG: Final = 18
"""H.273's TransferCharacteristics."""
_WHITE: Final = 203.0
_BRIGHTEST: Final = 1000.0 / _WHITE
_BEND: Final = 1.63
"""Where the two tangents of the bent part meet."""
_SQUARE: Final = 1 - 2 * _BEND + _BRIGHTEST
_LINEAR: Final = 2 * (_BEND - 1)
_FINE: Final = 65_535
_ROWS: Final = 64
"""How many rows are computed at once: each needs some 200 bytes a pixel."""


def is_hdr(primaries: int, transfer: int) -> bool:
    """Whether these code points of H.273 are PQ or HLG of primaries that are known."""
    return transfer in (PQ, HLG) and primaries in PRIMARIES


def shown(image: Image.Image, primaries: int, transfer: int) -> Image.Image:
    """8-bit values of high dynamic range, RGB or RGBA, as 8-bit sRGB. What is transparent stays so."""
    wide = between(PRIMARIES[primaries], PRIMARIES[BT2020])
    narrow = between(PRIMARIES[BT2020], PRIMARIES[1])
    light = [_pq(value / 255) if transfer == PQ else _hlg(value / 255) for value in range(256)]
    out = Image.new(image.mode, image.size)
    for top in range(0, image.height, _ROWS):
        box = (0, top, image.width, min(top + _ROWS, image.height))
        red, green, blue, *alpha = image.crop(box).split()
        bands = [band.point(light, "F") for band in (red, green, blue)]
        bands = _apply(wide, bands)
        if transfer == HLG:
            bands = _on_a_screen(bands)
        bands = [_encoded(band) for band in _apply(narrow, _dimmed(bands))]
        out.paste(Image.merge(image.mode, [*bands, *alpha]), box)
    return out


def _evaluate(formula: Any, bands: list[Image.Image]) -> Image.Image:
    """A formula over images of floats; Pillow has no types for the operands."""
    return ImageMath.lambda_eval(lambda args: formula(args), r=bands[0], g=bands[1], b=bands[2])  # type: ignore[no-any-return]


def _apply(matrix: Matrix, bands: list[Image.Image]) -> list[Image.Image]:
    return [
        _evaluate(lambda args, row=row: args["r"] * row[0] + args["g"] * row[1] + args["b"] * row[2], bands)
        for row in matrix
    ]


def _scaled(bands: list[Image.Image], factor: Image.Image) -> list[Image.Image]:
    return [
        ImageMath.lambda_eval(lambda args: args["band"] * args["by"], band=band, by=factor) for band in bands
    ]


def _on_a_screen(bands: list[Image.Image]) -> list[Image.Image]:
    """The light of an HLG scene as a screen of 1,000 nits shows it, in multiples of white."""

    def gain(args: Any) -> Any:
        luminance = args["r"] * 0.2627 + args["g"] * 0.6780 + args["b"] * 0.0593
        return args["max"](luminance, 0.0) ** 0.2 * _BRIGHTEST

    return _scaled(bands, _evaluate(gain, bands))


def _dimmed(bands: list[Image.Image]) -> list[Image.Image]:
    """All channels of a pixel by one factor: a straight line up to white, then a parabola."""

    def factor(args: Any) -> Any:
        most, least = args["max"], args["min"]
        largest = most(most(args["r"], args["g"]), most(args["b"], 1e-6))
        bent = least(most(largest, 1.0), _BRIGHTEST)
        at = ((bent - 1.0) * (4 * _SQUARE) + _LINEAR * _LINEAR) ** 0.5
        at = (at - _LINEAR) * (1 / (2 * _SQUARE))
        rest = at * -1.0 + 1.0
        parabola = rest * rest * 0.5 + at * rest * _BEND + at * at
        return least(parabola, largest * 0.5) / largest

    return _scaled(bands, _evaluate(factor, bands))


def _encoded(band: Image.Image) -> Image.Image:
    fine: Image.Image = ImageMath.lambda_eval(
        lambda args: args["int"](args["max"](args["min"](args["band"], 1.0), 0.0) * _FINE + 0.5), band=band
    )
    return fine.point(_encoding(), "L")


@lru_cache(maxsize=1)
def _encoding() -> list[int]:
    return [round(255 * encode_srgb(index / _FINE)) for index in range(_FINE + 1)]


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
