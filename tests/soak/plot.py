"""Draws a record as SVG: a row for each process, a panel for each series, the time in minutes below.

Who calls it: the command line. The settling time is grey; the band lies between the floor of the first part
and the most that a later one may have, green where the series is flat and red where it grows.
"""

from typing import Final

import msgspec

from tests.soak.readings import UNITS, Record
from tests.soak.verdict import SLACK, Growth, Verdict

_WIDTH: Final = 260
_HEIGHT: Final = 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 30, 24
_WIDE, _BASE = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _BOTTOM
_TALL: Final = _BASE - _TOP
_STYLE: Final = (
    "text{font:11px sans-serif;fill:#333}.title{font-weight:bold}.axis{stroke:#888;fill:none}"
    ".value{stroke:#06c;fill:none;stroke-width:1.2}.settling{fill:#eee}.flat{fill:#cfe8cf}.grows{fill:#f3c6c6}"
)


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """One series in a box. `growth` is None where there were too few readings."""

    title: str
    minutes: list[float]
    values: list[float]
    settle: float
    growth: Growth | None
    allowed: float

    def draw(self, left: int, top: int) -> str:
        """As a group at this place."""
        settled, most = self._x(min(self.settle, self.minutes[-1])), max(self.values)
        points = " ".join(
            f"{self._x(minute):.1f},{self._y(value):.1f}"
            for minute, value in zip(self.minutes, self.values, strict=True)
        )
        parts = [
            f'<text class="title" x="6" y="18">{self.title}</text>',
            f'<rect class="settling" x="{_LEFT}" y="{_TOP}" width="{settled - _LEFT:.1f}" height="{_TALL}"/>',
            self._band(settled),
            f'<path class="axis" d="M{_LEFT} {_TOP} V{_BASE} H{_LEFT + _WIDE}"/>',
            f'<polyline class="value" points="{points}"/>',
            f'<text x="{_LEFT - 4}" y="{self._y(most) + 4:.1f}" text-anchor="end">{most:.4g}</text>',
            f'<text x="{_LEFT - 4}" y="{_BASE}" text-anchor="end">0</text>',
            f'<text x="{_LEFT + _WIDE}" y="{_BASE + 14}" text-anchor="end">{self.minutes[-1]:.0f} min</text>',
        ]
        return f'<g transform="translate({left} {top})">{"".join(parts)}</g>'

    def _band(self, settled: float) -> str:
        if self.growth is None:
            return ""
        low = self.growth.floors[0]
        high = low + max(low * self.allowed, SLACK[self.growth.what])
        kind = "flat" if self.growth.flat else "grows"
        height = self._y(low) - self._y(high)
        return (
            f'<rect class="{kind}" x="{settled:.1f}" y="{self._y(high):.1f}" '
            f'width="{_LEFT + _WIDE - settled:.1f}" height="{height:.1f}"/>'
        )

    def _x(self, minute: float) -> float:
        return _LEFT + minute / (self.minutes[-1] or 1.0) * _WIDE

    def _y(self, value: float) -> float:
        return _BASE - value / (max(self.values) * 1.15 or 1.0) * _TALL


def draw(record: Record, verdict: Verdict) -> str:
    """The whole picture. The record holds at least one reading."""
    panels = [
        _panel(record, verdict, process, what).draw(column * _WIDTH, row * _HEIGHT)
        for row, (process, series) in enumerate(record.series.items())
        for column, what in enumerate(sorted(series, key=list(UNITS).index))
    ]
    width = _WIDTH * max(len(series) for series in record.series.values())
    height = _HEIGHT * len(record.series) + 20
    about = (
        f"{record.size.rate:g} images a minute for {record.size.minutes:g} minutes; {record.machine}; "
        f"load {min(record.load):.1f} to {max(record.load):.1f}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>{"".join(panels)}'
        f'<text x="6" y="{height - 6}">{about}</text></svg>\n'
    )


def _panel(record: Record, verdict: Verdict, process: str, what: str) -> Panel:
    found = [one for one in verdict.growths if (one.process, one.what) == (process, what)]
    unit = f" ({UNITS[what]})" if UNITS[what] else ""
    rise = f" {found[0].rise:+.1%}" if found else ""
    return Panel(
        title=f"{process}: {what}{unit}{rise}",
        minutes=[second / 60 for second in record.seconds],
        values=record.series[process][what],
        settle=record.size.settle,
        growth=found[0] if found else None,
        allowed=record.size.allowed,
    )
