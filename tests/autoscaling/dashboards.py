"""Every panel of the Grafana dashboards over the day: a table of values, and a picture of each dashboard.

Who calls it: the command line, at the day's end, while Prometheus and what it scrapes run yet. A panel that
shows nothing needs a reason here, or is a fault of the run.
"""

import math
from collections.abc import Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Final

import msgspec

from tests.autoscaling.charts import Chart, Line, draw, short
from tests.autoscaling.day import HOUR_S
from tests.support.dashboards import Query, queries
from tests.support.prometheus import Prometheus

NO_VALUE: Final = {("service", "Refused requests"): "no request was refused"}
"""Why a panel of Prometheus may be empty after a day on which nothing went wrong."""
_STEPS: Final = 240
_RATE_STEPS: Final = 4
"""A rate in a picture is over so many steps, as Grafana takes it."""


class Shown(msgspec.Struct, frozen=True):
    """What one query has shown: values as of the day's end, and lines over the day, by the series' names."""

    query: Query
    now: dict[str, float]
    lines: list[Line]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to be seen, neither now nor ever."""
        return not self.now and not self.lines


def ask(prometheus: Prometheus, begun: float, ended: float, factor: float) -> list[Shown]:
    """Every query of Prometheus. Values are over the whole day, rates of pictures over their step."""
    seconds = math.ceil(ended - begun)
    step = seconds / _STEPS
    found = []
    for one in queries("prometheus"):
        now = prometheus.query(one.of_range(seconds))
        drawn = one.of_range(seconds, max(math.ceil(step * _RATE_STEPS), 4))
        lines = [
            Line(
                one.name_of(labels),
                [((at - begun) * factor / HOUR_S, value) for at, value in with_gaps(values, step)],
            )
            for labels, values in prometheus.query_range(drawn, begun, ended, step)
        ]
        found.append(Shown(one, {one.name_of(labels): value for labels, value in now}, lines))
    return found


def with_gaps(values: Sequence[tuple[float, float]], step: float) -> list[tuple[float, float]]:
    """The same with no number where Prometheus had no value: it leaves such steps out."""
    found = list(values[:1])
    for (before, _), one in pairwise(values):
        if one[0] - before > 1.5 * step:
            found.append((before + step, math.nan))
        found.append(one)
    return found


def faults(shown: Sequence[Shown]) -> list[str]:
    """A sentence for each panel that is empty without a reason."""
    return [
        f"the panel {dashboard}: {panel} is empty"
        for (dashboard, panel), of_panel in _panels(shown)
        if all(one.empty for one in of_panel) and (dashboard, panel) not in NO_VALUE
    ]


def table(shown: Sequence[Shown]) -> str:
    """As Markdown: a row for each series of each query, and one for each panel that is empty."""
    rows = ["| dashboard | panel | query | series | value at the end | least | most |"]
    rows.append("|---|---|---|---|---|---|---|")
    for one in shown:
        expression = one.query.expression.replace("|", "\\|")
        head = f"| {one.query.dashboard} | {one.query.panel} | `{expression}`"
        lines = {line.name: [y for _, y in line.points if math.isfinite(y)] for line in one.lines}
        for name in sorted(one.now.keys() | lines.keys()):
            values = lines.get(name) or [math.nan]
            now = _number(one.now.get(name, math.nan))
            rows.append(f"{head} | {name} | {now} | {_number(min(values))} | {_number(max(values))} |")
        if one.empty:
            reason = NO_VALUE.get((one.query.dashboard, one.query.panel), "no value")
            rows.append(f"{head} | | {reason} | | |")
    for kind in ("loki", "tempo"):
        rows += [
            f"| {one.dashboard} | {one.panel} | {kind} | | {_elsewhere(kind)} | | |" for one in queries(kind)
        ]
    return "\n".join(rows) + "\n"


def pictures(shown: Sequence[Shown], hours: float) -> dict[str, str]:
    """The SVG of each dashboard by its name."""
    charts: dict[str, list[Chart]] = {}
    for (dashboard, panel), of_panel in _panels(shown):
        lines = [line for one in of_panel for line in one.lines]
        named = [
            Line(line.name or one.query.legend.removeprefix("__auto"), line.points)
            for one in of_panel
            for line in one.lines
        ]
        note = "" if lines else NO_VALUE.get((dashboard, panel), "no value")
        last = [value for one in of_panel for value in one.now.values() if math.isfinite(value)]
        title = f"{panel}: {short(last[0])}" if len(last) == len(named) == 1 else panel
        charts.setdefault(dashboard, []).append(Chart(title, named, note))
    for kind in ("loki", "tempo"):
        for one in queries(kind):
            charts.setdefault(one.dashboard, []).append(Chart(one.panel, [], _elsewhere(kind)))
    return {
        name: draw(boxes, hours=hours, columns=3, width=400, height=250) for name, boxes in charts.items()
    }


def write(shown: Sequence[Shown], hours: float, path: Path) -> None:
    """The table to this file, and the pictures beside it."""
    path.write_text(table(shown))
    for name, picture in pictures(shown, hours).items():
        path.with_name(f"{path.stem}-{name}.svg").write_text(picture)


def _panels(shown: Sequence[Shown]) -> list[tuple[tuple[str, str], list[Shown]]]:
    grouped = groupby(shown, key=lambda one: (one.query.dashboard, one.query.panel))
    return [(panel, list(of_panel)) for panel, of_panel in grouped]


def _elsewhere(kind: str) -> str:
    return f"from {kind.capitalize()}, which does not run here"


def _number(value: float) -> str:
    return f"{value:,.4g}" if math.isfinite(value) else "-"
