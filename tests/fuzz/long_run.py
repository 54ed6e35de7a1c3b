"""The long run: `python -m tests.fuzz.long_run multipart|sniffer SECONDS`, guided by coverage.

With atheris where it is installed, else with hypothesis alone. It ends with 1 at the first finding, whose
input is kept by atheris; with 2 where memory has grown by more than 64 MiB after the first tenth.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

_GROWTH: Final = 64 << 20
_INSTRUMENTED: Final = ["multipart", "image2model.api.upload", "image2model.media"]
Target = Callable[[bytes], object]


def targets() -> dict[str, tuple[Target, list[bytes]]]:
    """What can be run, and inputs to begin with. Imported late, so that atheris can instrument it."""
    from tests.fuzz.bodies import GOOD_PICTURES
    from tests.fuzz.targets import sniff, upload_now
    from tests.support.multipart_body import Body

    forms = [b"\x01" + bytes(Body().text("model", "x").file("a.png", one)) for one in GOOD_PICTURES]
    return {
        "multipart": (lambda data: upload_now(data[1:], 1 + data[0] % 9 if data else 1), forms),
        "sniffer": (sniff, list(GOOD_PICTURES)),
    }


def resident() -> int:
    """Bytes of memory that this process has now (Linux)."""
    with open("/proc/self/statm") as file:  # noqa: PTH123 - read millions of times
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Watched:
    """A target with a look at time and memory now and then."""

    def __init__(self, target: Callable[[bytes], object], seconds: float) -> None:
        self._target = target
        self._begun = time.monotonic()
        self._seconds = seconds
        self._base = 0
        self.runs = 0

    def __call__(self, data: bytes) -> None:
        self._target(data)
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
            _end(f"{self.runs} inputs in {spent:.0f} s, no finding, memory grew by {grown >> 10} KiB", 0)


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
        _by_hypothesis(name, Watched(targets()[name][0], seconds))
        return
    with atheris.instrument_imports(include=_INSTRUMENTED):
        target, seeds = targets()[name]
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds):
            (Path(corpus) / str(number)).write_bytes(seed)
        atheris.Setup(
            [sys.argv[0], "-max_len=8192", "-timeout=20", "-verbosity=0", corpus], Watched(target, seconds)
        )
        atheris.Fuzz()


def _by_hypothesis(name: str, watched: Watched) -> None:
    from hypothesis import HealthCheck, Phase, given, settings

    from tests.fuzz.bodies import bodies, pictures

    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    rules = settings(
        max_examples=10**9,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=checks,
    )
    strategy = pictures if name == "sniffer" else bodies.map(lambda body: b"\x02" + body)
    rules(given(strategy)(watched.__call__))()


if __name__ == "__main__":
    main()
