"""Tells a picture full of lines of text: a screenshot, a page, a scan.

A line of text is a row of small marks with an empty row above and below, and with far more edges along it
than dots, keys or bricks have. A label on a product has such lines too, so it is their share of the picture
that counts. Pure; it takes some 20 ms for a picture of 1,280 x 960, so run it in a thread.
"""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

import msgspec
from PIL import Image, ImageChops, ImageFilter

# The picture is read in vertical strips, so that columns, pictures beside the text, and a page that is not
# quite straight do no harm.
_STRIPS: Final = 12
# How much darker or lighter than what is around it a mark must be, of 255.
_CONTRAST: Final = 24
_AROUND: Final = 12
_EMPTY: Final = 0.015
_FULL: Final = 0.75
_LOWEST, _HIGHEST = 3, 48
# Edges on a stretch of a line that is as long as the line is high. Letters have 3 to 6, round dots at most 2.
_EDGES: Final = 2.3
# Letters have more upright edges than level ones, noise has as many.
_UPRIGHT: Final = 1.1
_LINES: Final = 8
_COVERED: Final = 0.5


class Line(msgspec.Struct, frozen=True):
    """A run of rows with marks in one strip: rows `top` to `bottom`, the last one outside."""

    top: int
    bottom: int

    @property
    def height(self) -> int:
        return self.bottom - self.top


def text_share(grey: Image.Image) -> float:
    """How much of a picture in mode L is covered by lines of text, dark on light or light on dark: 0 to 1."""
    around = grey.filter(ImageFilter.BoxBlur(_AROUND))
    darker, lighter = ImageChops.subtract(around, grey), ImageChops.subtract(grey, around)
    return max(_share(_marks(darker)), _share(_marks(lighter)))


def _marks(contrast: Image.Image) -> Image.Image:
    return contrast.point([255 * (level > _CONTRAST) for level in range(256)])


def _share(marks: Image.Image) -> float:
    ink = _by_strip(marks)
    along = _by_strip(ImageChops.difference(marks, ImageChops.offset(marks, 1, 0)))
    across = _by_strip(ImageChops.difference(marks, ImageChops.offset(marks, 0, 1)))
    covered = 0
    for number in range(_STRIPS):
        lines = [
            line
            for line in _lines(ink[number])
            if _is_text(along[number][line.top : line.bottom], across[number][line.top : line.bottom])
        ]
        covered += _covered(lines)
    return covered / (_STRIPS * marks.height)


def _is_text(along: bytes, across: bytes) -> bool:
    """Whether a line has as many edges along it as letters make, and more of them than across it."""
    rows = sorted(along)
    richest = rows[-max(1, len(rows) // 3)] / 255
    return richest * len(rows) > _EDGES and sum(along) > _UPRIGHT * sum(across)


def _by_strip(mask: Image.Image) -> list[bytes]:
    """The mean of each row of each strip, 0 to 255."""
    small = mask.resize((_STRIPS, mask.height), Image.Resampling.BOX)
    turned = small.transpose(Image.Transpose.TRANSPOSE).tobytes()
    return [turned[start : start + mask.height] for start in range(0, len(turned), mask.height)]


def _lines(ink: bytes) -> Iterator[Line]:
    start: int | None = None
    for row, level in enumerate((*ink, 0)):
        if level > _EMPTY * 255:
            start = row if start is None else start
        elif start is not None:
            line = Line(start, row)
            start = None
            if (
                _LOWEST <= line.height <= _HIGHEST
                and sum(ink[line.top : line.bottom]) < _FULL * 255 * line.height
            ):
                yield line


def _covered(lines: Sequence[Line]) -> int:
    """Rows that lines of one size fill with their gaps; 0 for too few lines."""
    if len(lines) < _LINES:
        return 0
    usual = median(line.height for line in lines)
    alike = [line for line in lines if 0.5 * usual <= line.height <= 2 * usual]
    if len(alike) < max(_LINES, 0.7 * len(lines)):
        return 0
    return sum(
        min(3 * line.height, after.top - line.top)
        for line, after in zip(alike, [*alike[1:], alike[-1]], strict=True)
    )
