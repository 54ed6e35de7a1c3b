"""Draws a day: uploads, unfinished work, workers, and how long images waited for FAL, one above the other.

Who calls it: the command line.
"""

from typing import Final

from tests.autoscaling.charts import Chart, Line, draw
from tests.autoscaling.day import HOUR_S
from tests.autoscaling.record import Record

_BIN_S: Final = HOUR_S / 2


def plot(record: Record) -> str:
    """The whole picture. The record has readings and images."""
    readings = record.readings
    hours = max(readings[-1].at / HOUR_S, record.size.until)
    work = [(one.at / HOUR_S, one.value) for one in readings if one.value is not None]
    images = sorted(record.images, key=lambda one: one.accepted_at)
    charts = [
        Chart("uploaded, images an hour", [Line("", _rate(record))]),
        Chart("unfinished work, images", [Line("", work)]),
        Chart(
            "workers",
            [
                Line("running", [(one.at / HOUR_S, float(one.living)) for one in readings]),
                Line("with an image in hand", [(one.at / HOUR_S, float(one.busy)) for one in readings]),
            ],
        ),
        Chart(
            "from 202 to FAL's submit, minutes of the day, by the time of the 202",
            [
                Line(
                    "",
                    [
                        (one.accepted_at / HOUR_S, one.wait * record.size.factor / 60)
                        for one in images
                        if one.wait is not None
                    ],
                )
            ],
        ),
    ]
    about = (
        f"one image in {record.size.one_in}, {record.size.factor:.0f} times as fast; {record.machine}; "
        f"load {min(one.load for one in readings):.1f} to {max(one.load for one in readings):.1f}"
    )
    return draw(charts, hours=hours, columns=1, width=900, height=190, about=about)


def _rate(record: Record) -> list[tuple[float, float]]:
    """Images an hour of the day, by half hours."""
    found = [0] * int(record.size.until * HOUR_S / _BIN_S)
    for at, files in record.uploads:
        found[int(at / _BIN_S)] += files * record.size.one_in
    return [((n + 0.5) * _BIN_S / HOUR_S, count * HOUR_S / _BIN_S) for n, count in enumerate(found)]
