"""The generated day: how many images an hour come at each time of it, and the uploads that bring them.

Who calls it: the driver, and the plot. Pure: the same seed gives the same day.
"""

import math
import random
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Final

import msgspec

HOUR_S: Final = 3600.0
DAY_S: Final = 24 * HOUR_S
# from midnight on, and midnight again: the night, the rise of the morning, a peak before and one after noon
_AN_HOUR: Final = (
    *(60, 20, 10, 10, 10, 40, 200, 700, 1500, 2600, 3000, 2400),
    *(1500, 1700, 2700, 3000, 2600, 1600, 1000, 800, 900, 500, 250, 120),
    60,
)
LEAST, MOST = min(_AN_HOUR), max(_AN_HOUR)
_FILES: Final = (1, 1, 2, 3, 5)
"""How many pictures an upload has, each as likely as the next."""


class Upload(msgspec.Struct, frozen=True):
    """One upload of the day: `at` in seconds since midnight, the seed of its first picture, and how many."""

    at: float
    seed: int
    files: int


def images_an_hour(at: float) -> float:
    """The rate at a second of the day: straight from each full hour to the next."""
    hour, part = divmod(min(max(at, 0.0), DAY_S) / HOUR_S, 1)
    before, after = _AN_HOUR[int(hour)], _AN_HOUR[min(int(hour) + 1, 24)]
    return before + (after - before) * part


def total() -> float:
    """The images of the whole day, before one in so many is drawn."""
    return _BY_HOUR[-1]


def uploads(seed: int, one_in: int) -> Iterator[Upload]:
    """Uploads in the order of the day, one image of `one_in`. They come by chance, as people do."""
    draw = random.Random(seed)
    images, number = 0.0, 0
    while True:
        files = draw.choice(_FILES)
        images += draw.expovariate(1 / files) * one_in
        if images >= total():
            return
        yield Upload(at=_when(images), seed=number, files=files)
        number += files


_BY_HOUR: Final = tuple(accumulate(((a + b) / 2 for a, b in pairwise(_AN_HOUR)), initial=0.0))
"""How many images have come by each full hour."""


def _when(images: float) -> float:
    """The second of the day by which so many images have come."""
    hour = max(bisect_left(_BY_HOUR, images) - 1, 0)
    first, last = float(_AN_HOUR[hour]), float(_AN_HOUR[hour + 1])
    left = images - _BY_HOUR[hour]
    # the rate is a straight line within the hour, so this solves first*t + (last - first)*t*t/2 = left
    root = math.sqrt(first * first + 2 * (last - first) * left)
    return (hour + 2 * left / (first + root)) * HOUR_S
