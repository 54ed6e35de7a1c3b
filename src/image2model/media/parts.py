"""Tells whether a picture shows several objects side by side.

Only where the background can be told: by alpha, or by a border of one colour. Parts that may belong to one
object do not count: what is joined, however faintly; what lies above or below, such as the shade and the foot
of a lamp with a white pole; small things beside a large one; letters and flat drawings. Pure; it takes some
10 ms, so run it in a thread.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
from PIL import Image, ImageFilter

from image2model.media.arrange import CLEAR, border, has_clear_pixels, median_of, off

# What differs from the background by this joins two parts: a chrome bar, a rim of glass, a shadow.
_FAINT: Final = 5
_CLEARLY: Final = 30
# The least share of the outermost pixels that has the background's colour.
_BORDER: Final = 0.95
# The least size of a part: of the largest one's pixels, and of the picture's shorter side.
_SHARE: Final = 0.25
_SIZE: Final = 0.1
# Of the picture's width.
_GAP: Final = 0.02
# How much of the lower one's height two parts must have in common to stand side by side.
_LEVEL: Final = 0.5
# A part was drawn and not photographed where this share of it has one brightness, give or take this much.
_FLAT_SHARE: Final = 0.75
_FLAT: Final = 4
# More parts are a pattern.
_MOST: Final = 8


class Part(msgspec.Struct, frozen=True):
    """Pixels that touch each other: the box around them, which ends before `right` and `bottom`.

    `solid` is the number of those that are clearly not background.
    """

    left: int
    top: int
    right: int
    bottom: int
    solid: int

    def joined(self, other: "Part") -> "Part":
        """Both as one."""
        return Part(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
            self.solid + other.solid,
        )

    def is_beside(self, other: "Part", gap: int) -> bool:
        """Whether `other` stands at the right of it, at least `gap` pixels away, at a similar height."""
        level = min(self.bottom, other.bottom) - max(self.top, other.top)
        lower = min(self.bottom - self.top, other.bottom - other.top)
        return self.right + gap <= other.left and level >= _LEVEL * lower


def has_several_objects(image: Image.Image) -> bool:
    """Whether large parts stand side by side; False where that cannot be told.

    `image`: RGB or RGBA, small. Its time is in proportion to the pixels.
    """
    masks = _masks(image)
    if masks is None:
        return False
    visible, solid = masks
    large = _large(parts(visible, solid), _SIZE * min(image.size))
    gap = max(3, round(_GAP * image.width))
    if len(large) > _MOST or not any(one.is_beside(other, gap) for one in large for other in large):
        return False
    return not all(_is_flat(image, solid, part) for part in large)


def parts(visible: Image.Image, solid: Image.Image) -> list[Part]:
    """The parts of the mask `visible` that do not touch each other, not even with a pixel between them."""
    wide = visible.filter(ImageFilter.MaxFilter(3))
    marked, clear = wide.tobytes(), solid.tobytes()
    groups = _Groups()
    above: list[int] = []
    for top in range(wide.height):
        start = top * wide.width
        here: list[int] = []
        first = 0
        for left, right in _runs(marked[start : start + wide.width]):
            own = groups.add(
                Part(left, top, right, top + 1, clear.count(b"\xff", start + left, start + right))
            )
            here.append(own)
            while first < len(above) and groups.runs[above[first]].right < left:
                first += 1
            for other in above[first:]:
                if groups.runs[other].left > right:
                    break
                groups.join(own, other)
        above = here
    return groups.parts()


class _Groups:
    """Runs of pixels, and which of them touch: disjoint sets."""

    def __init__(self) -> None:
        self.runs: list[Part] = []
        self._leaders: list[int] = []

    def add(self, run: Part) -> int:
        self.runs.append(run)
        self._leaders.append(len(self._leaders))
        return self._leaders[-1]

    def join(self, one: int, other: int) -> None:
        self._leaders[self._leader(one)] = self._leader(other)

    def parts(self) -> list[Part]:
        found: dict[int, Part] = {}
        for index, run in enumerate(self.runs):
            leader = self._leader(index)
            found[leader] = run if leader not in found else found[leader].joined(run)
        return list(found.values())

    def _leader(self, index: int) -> int:
        while (leader := self._leaders[index]) != index:
            self._leaders[index] = self._leaders[leader]
            index = leader
        return index


def _runs(row: bytes) -> Iterator[tuple[int, int]]:
    """Where pixels of 255 begin and end in a row."""
    end = 0
    while (start := row.find(b"\xff", end)) >= 0:
        end = row.find(b"\x00", start)
        if end < 0:
            end = len(row)
        yield start, end


def _masks(image: Image.Image) -> tuple[Image.Image, Image.Image] | None:
    """Of all that can be seen, and of all that is clearly not background. None without a background."""
    if has_clear_pixels(image):
        alpha = image.getchannel("A")
        return _above(alpha, CLEAR), _above(alpha, 127)
    edge = border(image)
    if edge.share < _BORDER:
        return None
    return off(image, edge.colour, _FAINT), off(image, edge.colour, _CLEARLY)


def _above(alpha: Image.Image, level: int) -> Image.Image:
    return alpha.point([255 * (value > level) for value in range(256)])


def _large(found: list[Part], least: float) -> list[Part]:
    most = max((part.solid for part in found), default=0)
    return [
        part
        for part in found
        if part.solid >= max(1, _SHARE * most)
        and max(part.right - part.left, part.bottom - part.top) >= least
    ]


def _is_flat(image: Image.Image, solid: Image.Image, part: Part) -> bool:
    """Whether a part has one brightness, its edges apart; True for one that is all edge."""
    box = (part.left, part.top, part.right, part.bottom)
    inside = solid.crop(box).filter(ImageFilter.MinFilter(5))
    counts = image.crop(box).convert("L").histogram(inside)
    middle = median_of(counts)
    return sum(counts[max(0, middle - _FLAT) : middle + _FLAT + 1]) >= _FLAT_SHARE * sum(counts)
