"""The long run of the decoders: `python -m tests.fuzz.decoders FORMAT SECONDS [SEED]`.

Damaged files of one format go the way of an upload: first the check at the door, then the decoder processes,
in turns as a picture for FAL and as a thumbnail. Each must end as a picture, as a refusal in words, or with
the death of its decoder process alone.
It ends with 1 at a finding: an unexpected exception, or a healthy picture that is not decoded afterwards;
with 2 where this process has grown by more than 64 MiB, or a decoder process beyond `_MOST_MEMORY`; with 3
where it proves nothing: no file was decoded, or none was refused.
"""

import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from image2model.decoding.pool import DecoderPool
from image2model.decoding.process import DecoderDied
from image2model.errors import ImageFailure, Problem
from image2model.media.inspect import inspect
from image2model.media.preflight import prepare, thumbnail
from tests.fuzz.long_run import resident
from tests.support.damaged_pictures import damaged, samples
from tests.support.processes import children_of

MAX_PIXELS: Final = 4_000_000
_GROWTH: Final = 64 << 20
_MOST_MEMORY: Final = 1 << 30
"""Bytes that a decoder process may take for a picture of so many pixels. An idle one has 60 MB."""
_PROCESSES: Final = 2
_LONGEST_S: Final = 20.0
_HEALTHY_EVERY: Final = 200
_LOOK_EVERY: Final = 20


class Run:
    """One run over one format."""

    def __init__(self, name: str, seconds: float, seed: int) -> None:
        self._good = samples(name)
        self._draw = random.Random(seed)
        self._until = time.monotonic() + seconds
        self._pool = DecoderPool(_PROCESSES, longest_s=_LONGEST_S)
        self._base = 0
        self._warm_at = time.monotonic() + seconds / 10
        self.ends: Counter[str] = Counter()
        self.largest = 0
        self.longest_s = 0.0
        self.grown = 0

    async def __call__(self) -> None:
        """Run for the time. Raises AssertionError for a finding."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_PROCESSES):
                    group.create_task(self._damage())
        finally:
            await self._pool.aclose()

    async def _damage(self) -> None:
        while time.monotonic() < self._until:
            await self._one(damaged(self._draw, self._good))
            if self.ends.total() % _HEALTHY_EVERY == 0:
                for good in self._good:
                    await self._pool.run(partial(prepare, good, max_pixels=MAX_PIXELS))
            if self.ends.total() % _LOOK_EVERY == 0:
                self._look()

    async def _one(self, data: bytes) -> None:
        try:
            inspect(data, max_pixels=MAX_PIXELS)
        except Problem:
            self.ends["refused at the door"] += 1
            return
        calls: tuple[Callable[[], object], ...] = (
            partial(prepare, data, max_pixels=MAX_PIXELS),
            partial(thumbnail, data, size=64, max_pixels=MAX_PIXELS),
        )
        began = time.monotonic()
        try:
            await self._pool.run(self._draw.choice(calls))
        except ImageFailure:
            self.ends["refused when decoded"] += 1
        except DecoderDied as death:
            self.ends[f"process died: {death}"] += 1
        else:
            self.ends["decoded"] += 1
        self.longest_s = max(self.longest_s, time.monotonic() - began)

    def _look(self) -> None:
        for pid in children_of(os.getpid()):
            self.largest = max(self.largest, _peak(pid))
        if time.monotonic() > self._warm_at:
            self._base = self._base or resident()
            self.grown = max(self.grown, resident() - self._base)


def _peak(pid: int) -> int:
    """Bytes of memory that a process has had at most (Linux); 0 for one that is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    return 0


def main() -> int:
    """Run, and print one line for each kind of end."""
    name, seconds = sys.argv[1], float(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.SystemRandom().randrange(10**6)
    run = Run(name, seconds, seed)
    out = sys.stdout
    out.write(f"{name}, seed {seed}\n")
    asyncio.run(run())
    for end, count in run.ends.most_common():
        out.write(f"{count:>9}  {end}\n")
    out.write(
        f"{run.ends.total()} files, longest call {run.longest_s:.1f} s, decoder process at most "
        f"{run.largest >> 20} MiB, this process grew by {run.grown >> 20} MiB\n"
    )
    if run.grown > _GROWTH or run.largest > _MOST_MEMORY:
        return 2
    refused = run.ends["refused at the door"] + run.ends["refused when decoded"]
    return 0 if run.ends["decoded"] and refused else 3


if __name__ == "__main__":
    sys.exit(main())
