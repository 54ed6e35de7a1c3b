"""The long run: `python -m tests.fuzz.long_run multipart|manifest|sniffer SECONDS`, guided by coverage.

With atheris where it is installed, else with hypothesis alone. It ends with 1 at the first finding, whose
input is kept by atheris; with 2 where memory has grown by more than 64 MiB after the first tenth; with 3
where it proves nothing: no input was good, or none was refused, or the inputs ended before the time did.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

_GROWTH: Final = 64 << 20
_INSTRUMENTED: Final = ["multipart", "image2model.http.upload", "image2model.media"]
Target = Callable[[bytes], bool]
"""Whether the input was good; it raises for a finding."""


def targets() -> dict[str, tuple[Target, list[bytes]]]:
    """What can be run, and inputs to begin with. Imported late, so that atheris can instrument it."""
    from tests.fuzz.bodies import GOOD_PICTURES
    from tests.fuzz.targets import manifest, sniff, upload_now
    from tests.support.multipart_body import Body
    from tests.support.object_forms import four_views, manifest_of_parts

    forms = [b"\x01" + bytes(Body().text("model", "x").file("a.png", one)) for one in GOOD_PICTURES]
    forms += [b"\x01" + bytes(four_views(1)), b"\x01" + bytes(manifest_of_parts(2))]
    said = b'{"objects":[{"name":"a","views":[{"part":0,"side":"front"},{"part":1}],"metadata":{"b":1}}]}'
    return {
        "multipart": (lambda data: upload_now(data[1:], 1 + data[0] % 9 if data else 1) == 202, forms),
        "manifest": (lambda data: manifest(data.decode("utf-8", "replace"), 2), [said]),
        "sniffer": (lambda data: sniff(data) is not None, list(GOOD_PICTURES)),
    }


def resident() -> int:
    """Bytes of memory that this process has now (Linux)."""
    with open("/proc/self/statm") as file:  # noqa: PTH123 - read millions of times
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Watched:
    """A target with a look at time and memory now and then."""

    def __init__(self, target: Target, seconds: float) -> None:
        self._target = target
        self._begun = time.monotonic()
        self._seconds = seconds
        self._base = 0
        self.runs = 0
        self.good = 0

    def __call__(self, data: bytes) -> None:
        self.good += self._target(data)
        self.runs += 1
        if self.runs % 500 == 0:
            self._look()

    def _look(self) -> None:
        spent = time.monotonic() - self._begun
        if spent > self._seconds / 10 and not self._base:
            self._base = resident()
        grown = resident() - self._base if self._base else 0
        if grown > _GROWTH:
            _end(f"memory has grown by {grown >> 20} MiB after {self.runs} inputs", 2)
        if spent > self._seconds:
            self._end(f"in {spent:.0f} s, no finding, memory grew by {grown >> 10} KiB")

    def _end(self, words: str) -> None:
        said = f"{self.runs} inputs ({self.good} good) {words}"
        if not 0 < self.good < self.runs:
            _end(f"{said}: nothing was exercised", 3)
        _end(said, 0)

    def ended_early(self) -> None:
        """Whoever makes the inputs has stopped."""
        _end(f"the inputs ended after {self.runs}, before the time did", 3)


def _end(words: str, code: int) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()
    os._exit(code)


def main() -> None:
    """Run one target for so many seconds."""
    name, seconds = sys.argv[1], float(sys.argv[2])
    try:
        import atheris
    except ImportError:
        watched = Watched(targets()[name][0], seconds)
        _by_hypothesis(name, watched)
        watched.ended_early()
    with atheris.instrument_imports(include=_INSTRUMENTED):
        target, seeds = targets()[name]
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds):
            (Path(corpus) / str(number)).write_bytes(seed)
        watched = Watched(target, seconds)
        atheris.Setup([sys.argv[0], "-max_len=8192", "-timeout=20", "-verbosity=0", corpus], watched)
        atheris.Fuzz()
        watched.ended_early()


def _by_hypothesis(name: str, watched: Watched) -> None:
    from hypothesis import HealthCheck, Phase, given, settings

    from tests.fuzz.bodies import bodies, manifests, pictures

    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    rules = settings(
        max_examples=10**9,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=checks,
    )
    strategies = {
        "sniffer": pictures,
        "manifest": manifests.map(lambda text: text.encode("utf-8", "replace")),
        "multipart": bodies.map(lambda body: b"\x02" + body),
    }
    rules(given(strategies[name])(watched.__call__))()


if __name__ == "__main__":
    main()
