"""How large a picture an endpoint takes, as FAL's document says it: in numbers, or in words.

Newer apps state their limits in the extension `x-fal` of a field (`ImageValidationConfig` of FAL's Python
package). Others write them into its description, where FAL generates "Max file size: 10.0MB, Max width:
2160px", or a person has written "Resolution: 128-5000px, max 8MB". Pure: no I/O.
"""

import re
from collections.abc import Iterable
from typing import Final

from image2model.domain import PictureLimits
from image2model.fal.endpoints.resolve import Node, node, text

USUAL: Final = PictureLimits(max_bytes=20_000_000, max_width=6_000, max_height=6_000)
"""For an endpoint that says nothing. It is the most that a maker of such models takes where another company's
API is called (Tripo), and more than the texture of any of these models has: they look at 518 to 1,536 pixels,
and their textures have at most 4,096."""

_UNIT: Final = {"k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_WORDS: Final = 4_000
_LEAST_SIDE: Final = 512
"""Words about a shorter side are of something else: every model looks at so many pixels."""
_LEAST_BYTES: Final = 500_000
_NUMBER: Final = r"(\d[\d,]{0,8}(?:\.\d{1,6})?)"
_PX: Final = r"\s*(?:px|pixels?)\b"
_MOST: Final = (
    r"(?:\b(?:max(?:imum)?\.?|less than|at most|up to|under|(?:not )?exceed)|(?<!recommended )[≤<])"
)
# A megabyte is a million bytes here: where FAL means 1,048,576 of them, a little less is right too.
_BYTES: Final = re.compile(
    rf"{_MOST}(?:\s+(?:file|image|picture))?(?:\s+size)?(?:\s+(?:is|of))?[:\s]*{_NUMBER}\s*([kmg])i?b\b",
    re.IGNORECASE,
)
_SIDE: Final = re.compile(
    r"\bmax(?:imum)?\.?\s+(width|height|dimensions?|side|resolution)(?:\s+(?:is|of|less than))?[:\s]*"
    rf"{_NUMBER}{_PX}",
    re.IGNORECASE,
)
_RANGE: Final = re.compile(
    rf"(?:\b\d[\d,]{{0,8}}(?:\s*px)?\s*(?:-|–|to)\s*|\bbetween\s+\d[\d,]{{0,8}}(?:\s*px)?\s+and\s+"
    rf"|{_MOST}\s*){_NUMBER}(?:\s*[x×]\s*\d[\d,]{{0,8}})?{_PX}",
    re.IGNORECASE,
)
_BOX: Final = r"\d[\d,]{0,8}\s*[x×]\s*\d[\d,]{0,8}"
_BETWEEN: Final = re.compile(
    rf"\bbetween\s+{_BOX}\s+and\s+{_NUMBER}\s*[x×]\s*{_NUMBER}(?![\d.])", re.IGNORECASE
)
_PIXELS: Final = re.compile(rf"{_MOST}\s*{_NUMBER}\s*(?:mp|megapixels?)\b", re.IGNORECASE)


def stated_limits(*fields: Node) -> PictureLimits | None:
    """What a field, and what stands around it, says of the pictures that it takes; None for nothing."""
    words = [_in_words(text(field.get("description"), _WORDS)) for field in fields]
    return tightest([*map(_in_numbers, fields), *words])


def tightest(limits: Iterable[PictureLimits | None]) -> PictureLimits | None:
    """What keeps within all of them; None where there is none."""
    known = [one for one in limits if one is not None]
    if not known:
        return None
    return PictureLimits(
        max_bytes=_least(one.max_bytes for one in known),
        max_width=_least(one.max_width for one in known),
        max_height=_least(one.max_height for one in known),
        max_pixels=_least(one.max_pixels for one in known),
    )


def _least(values: Iterable[int | None]) -> int | None:
    return min((one for one in values if one is not None), default=None)


def _in_numbers(field: Node) -> PictureLimits | None:
    about = node(field.get("x-fal"))
    return _made(
        _positive(about.get("max_file_size")),
        _positive(about.get("max_width")),
        _positive(about.get("max_height")),
        _positive(about.get("max_area")),
    )


def _in_words(words: str) -> PictureLimits | None:
    sizes = [_amount(number) * _UNIT[unit.lower()] for number, unit in _BYTES.findall(words)]
    both = [_amount(number) for number in _RANGE.findall(words)]
    widths, heights = list(both), list(both)
    for side, number in _SIDE.findall(words):
        if side.lower() != "height":
            widths.append(_amount(number))
        if side.lower() != "width":
            heights.append(_amount(number))
    for across, down in _BETWEEN.findall(words):
        widths.append(_amount(across))
        heights.append(_amount(down))
    areas = [_amount(number) * 1_000_000 for number in _PIXELS.findall(words)]
    return _made(
        _likely(sizes, _LEAST_BYTES),
        _likely(widths, _LEAST_SIDE),
        _likely(heights, _LEAST_SIDE),
        _likely(areas, _LEAST_SIDE**2),
    )


def _likely(values: Iterable[float], least: int) -> int | None:
    return min((int(one) for one in values if one >= least), default=None)


def _made(
    size: int | None, width: int | None, height: int | None, pixels: int | None
) -> PictureLimits | None:
    if size is width is height is pixels is None:
        return None
    return PictureLimits(max_bytes=size, max_width=width, max_height=height, max_pixels=pixels)


def _amount(number: str) -> float:
    return float(number.replace(",", ""))


def _positive(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value < 1 << 40:
        return None
    return int(value)
