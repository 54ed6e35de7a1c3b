"""Draws lines over the hours of a day as SVG: boxes of one size, side by side.

Who calls it: the plot of the day, and that of the dashboards. `tests.bench.plot` draws few points with their
values; a day has hundreds.
"""

import math
from collections.abc import Sequence
from html import escape
from typing import Final

import msgspec

_LEFT, _RIGHT, _TOP, _LINE = 52, 12, 24, 13
_BOTTOM: Final = 20
_COLOURS: Final = ("#06c", "#c60", "#090", "#909", "#c00", "#088", "#660", "#555")
_STYLE: Final = (
    "text{font:11px sans-serif;fill:#333}.title{font-weight:bold}.axis{stroke:#888;fill:none}"
    "polyline{fill:none;stroke-width:1.2}"
)
_SHOWN: Final = 6
"""Names below a box; more would not fit."""


class Line(msgspec.Struct, frozen=True):
    """(hour, value) in order. A value that is no number is a gap."""

    name: str
    points: Sequence[tuple[float, float]]


class Chart(msgspec.Struct, frozen=True):
    """One box. `note` stands in it where there is nothing to draw."""

    title: str
    lines: Sequence[Line]
    note: str = ""

    @property
    def most(self) -> float:
        """The highest value, 0 where there is none."""
        return max((y for line in self.lines for _, y in line.points if math.isfinite(y)), default=0.0)

    def draw(self, width: int, height: int, hours: float) -> str:
        """As the inside of a group."""
        names = min(len(self.lines), _SHOWN) if len(self.lines) > 1 else 0
        right, base = width - _RIGHT, height - _BOTTOM - names * _LINE
        least = min(0.0, *(y for line in self.lines for _, y in line.points if math.isfinite(y)), 0.0)
        most = self.most if self.most > least else least + 1
        parts = [
            f'<text class="title" x="6" y="15">{escape(self.title)}</text>',
            f'<path class="axis" d="M{_LEFT} {_TOP} V{base} H{right}"/>',
            f'<text x="{_LEFT - 4}" y="{_TOP + 8}" text-anchor="end">{short(most)}</text>',
            f'<text x="{_LEFT - 4}" y="{base}" text-anchor="end">{short(least)}</text>',
        ]
        parts += [
            f'<text x="{_LEFT + hour / hours * (right - _LEFT):.0f}" y="{base + 13}" text-anchor="middle">'
            f"{hour} h</text>"
            for hour in _marked(hours)
        ]
        if self.note:
            parts.append(f'<text x="{_LEFT + 8}" y="{(_TOP + base) // 2}">{escape(self.note)}</text>')
        for number, line in enumerate(self.lines):
            colour = _COLOURS[number % len(_COLOURS)]
            for run in _unbroken(line.points):
                at = " ".join(
                    f"{_LEFT + x / hours * (right - _LEFT):.1f},"
                    f"{base - (y - least) / (most - least) * (base - _TOP):.1f}"
                    for x, y in run
                )
                parts.append(f'<polyline points="{at}" stroke="{colour}"/>')
            if number < names:
                more = (
                    f" and {len(self.lines) - names} more"
                    if number == names - 1 < len(self.lines) - 1
                    else ""
                )
                parts.append(
                    f'<text x="{_LEFT}" y="{base + 13 + (number + 1) * _LINE}" style="fill:{colour}">'
                    f"{escape(line.name)}{more}</text>"
                )
        return "".join(parts)


def draw(
    charts: Sequence[Chart], *, hours: float, columns: int, width: int, height: int, about: str = ""
) -> str:
    """The whole picture."""
    groups = "".join(
        f'<g transform="translate({n % columns * width} {n // columns * height})">'
        f"{chart.draw(width, height, hours)}</g>"
        for n, chart in enumerate(charts)
    )
    tall = math.ceil(len(charts) / columns) * height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{columns * width}" height="{tall + 20}">'
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>{groups}'
        f'<text x="6" y="{tall + 12}">{escape(about)}</text></svg>\n'
    )


def short(value: float) -> str:
    """For people: 1.5k and 20M where there is no room for more."""
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= factor:
            return f"{value / factor:.3g}{unit}"
    return f"{value:.3g}"


def _marked(hours: float) -> range:
    """The hours that have a mark below a box."""
    step = max(round(hours / 4), 1)
    return range(step, int(hours) + 1, step)


def _unbroken(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if math.isfinite(y):
            runs[-1].append((x, y))
        elif runs[-1]:
            runs.append([])
    # a single point is a short stroke, so that it is seen
    return [[*run, run[-1]] if len(run) == 1 else run for run in runs if run]
