"""Draws series of points side by side as SVG: axes from zero, the points, and the line through them.

Who calls it: `scaling`, `growth`.
"""

import math
from collections.abc import Mapping

import msgspec

_WIDTH, _HEIGHT, _EDGE = 420, 300, 56
_STYLE = "text{font:12px sans-serif;fill:#333}path,line{stroke:#888;fill:none}"


class Series(msgspec.Struct, frozen=True):
    """Values by what they depend on. `log`: each tenfold is as wide as the next, from the least on."""

    title: str
    points: Mapping[int, float]
    log: bool = False

    def across(self, x: int) -> float:
        """Where a point lies between the left edge, 0, and the right, 1."""
        if not self.log:
            return x / max(self.points)
        low, high = math.log(min(self.points)), math.log(max(self.points))
        return (math.log(x) - low) / (high - low)


def draw(*series: Series, columns: int = 0) -> str:
    """The whole picture, with so many panels side by side; 0: all of them."""
    columns = columns or len(series)
    panels = "".join(
        _panel(one, number % columns * _WIDTH, number // columns * _HEIGHT)
        for number, one in enumerate(series)
    )
    size = f'width="{_WIDTH * columns}" height="{_HEIGHT * math.ceil(len(series) / columns)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{_STYLE}</style>'
        f'<rect width="100%" height="100%" fill="#fff"/>{panels}</svg>\n'
    )


def _panel(series: Series, left: float, top: float) -> str:
    far, high = max(series.points), max(series.points.values())
    wide, tall = _WIDTH - 2 * _EDGE, _HEIGHT - 2 * _EDGE
    base = _HEIGHT - _EDGE
    at = {x: (_EDGE + series.across(x) * wide, base - y / high * tall) for x, y in series.points.items()}
    path = " ".join(f"{'L' if n else 'M'}{x:.1f} {y:.1f}" for n, (x, y) in enumerate(at.values()))
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="#06c"/>' for x, y in at.values())
    values = "".join(
        f'<text x="{x - 8:.1f}" y="{y - 8:.1f}" text-anchor="end">{series.points[n]:.3g}</text>'
        for n, (x, y) in at.items()
        if x > _EDGE + 30
    )
    marks = "".join(
        f'<text x="{x:.1f}" y="{base + 18}" text-anchor="middle">{n:,}</text>'
        for n, (x, _) in at.items()
        if n == far or x > _EDGE + 30
    )
    axes = f'<path d="M{_EDGE} {_EDGE} V{base} H{_WIDTH - _EDGE}"/>'
    title = f'<text x="{_EDGE}" y="28">{series.title}</text>'
    return f'<g transform="translate({left} {top})">{title}{axes}<path d="{path}"/>{dots}{values}{marks}</g>'
