"""What a day was, and what became of it: sizes, readings, uploads, images. It is kept as JSON.

Who calls it: the driver writes it; the verdict and the plot read it.
"""

import msgspec

from tests.autoscaling.day import DAY_S


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """`minutes` that the day takes; one image of `one_in` is made. `latency` (of FAL, in seconds) and
    `concurrency` (what FAL runs at once) are those of the day, before both are divided. `result_ttl`: how
    long FAL keeps a result, in seconds of the day. `until`: the hour at which the day is cut off."""

    minutes: float = 6.0
    one_in: int = 20
    seed: int = 0
    latency: float = 120.0
    concurrency: int = 80
    result_ttl: float = 3600.0
    nights: bool = False
    until: float = 24.0

    @property
    def factor(self) -> float:
        """Seconds of the day in one second."""
        return DAY_S / (self.minutes * 60)

    def shortened(self, count: float) -> int:
        """What is left of a number of images; never none."""
        return max(round(count / self.one_in), 1)


class Reading(msgspec.Struct, frozen=True, array_like=True):
    """One poll. `at`: seconds of the day; `value`: the query's, in images of the day, None where it had none;
    `wanted` and `replicas`: after and before the decision; `living`: processes, with those that end;
    `busy`: workers with an image in hand; `in_hand`: the images in their hands; `load`: the machine's."""

    at: float
    value: float | None
    wanted: int
    replicas: int
    living: int
    busy: int
    in_hand: int
    load: float


class Image(msgspec.Struct, frozen=True, array_like=True):
    """One accepted image. `accepted_at` in seconds of the day, when its 202 had arrived; `wait`: from then to
    FAL's acceptance, in real seconds, None where FAL never had it; `submissions`: how many FAL accepted."""

    accepted_at: float
    status: str
    code: str
    wait: float | None
    submissions: int


class Record(msgspec.Struct, kw_only=True):
    """A whole day. `slots`: images that a worker takes at once; `uploads`: when, in seconds of the day, and
    how many files; `starts`: of workers; `seconds`: how long it took, to the end of the last image."""

    size: Size
    machine: str
    slots: int
    readings: list[Reading] = []
    images: list[Image] = []
    uploads: list[tuple[float, int]] = []
    starts: int = 0
    seconds: float = 0.0
    faults: list[str] = []
