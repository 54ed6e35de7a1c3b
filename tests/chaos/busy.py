"""Keeps the machine busy: loops that do nothing but use a core, each of them bounded.

Who calls it: the driver for those of a whole run, the strikes for a few seconds. A loop ends by itself after
its time, and with the process that started it; one that ends earlier is a fault of the run.
"""

import asyncio
import subprocess
import sys

from image2model.up.children import die_with_parent

_LOOP = (
    "import sys, time\nuntil = time.monotonic() + float(sys.argv[1])\nwhile time.monotonic() < until: pass"
)


class BusyLoops:
    """So many loops until `end`, at most `seconds`."""

    def __init__(self, count: int, seconds: float) -> None:
        command = [sys.executable, "-c", _LOOP, str(seconds)]
        self.processes = [
            subprocess.Popen(command, preexec_fn=die_with_parent(), stdin=subprocess.DEVNULL)
            for _ in range(count)
        ]

    async def watch(self) -> None:
        """Until cancelled. Raises RuntimeError for a loop that ended."""
        while True:
            for process in self.processes:
                if process.poll() is not None:
                    raise RuntimeError(f"busy loop {process.pid} ended with {process.returncode}")
            await asyncio.sleep(0.2)

    def end(self) -> None:
        """All of them are gone."""
        for process in self.processes:
            process.kill()
            process.wait()
