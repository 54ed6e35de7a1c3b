"""One API process as it really runs, on a port of its own.

Who calls it: tests of what only a process shows.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.command import environment
from tests.support.secrecy import Watch

RUN = "from image2model import settings; from image2model.api.server import run; run(settings.load())"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@contextmanager
def api_process(log: Path, program: str = RUN, **settings: str) -> Iterator[int]:
    """The port it listens on. `settings` are by their names, I2M_… and FAL_KEY; it logs into `log`.

    Raises SecretLeaked at the end if that holds a secret.
    """
    watch = Watch(settings, log)
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", program], env=environment(**{"I2M_PORT": "0", **settings}), stderr=out
        )
    try:
        yield _port(process, log)
    finally:
        process.terminate()
        process.wait(30)
        watch.check()


def _port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r'"port": ?(\d+)|ready .*port=(\d+)', _COLOURS.sub("", log.read_text()))
        if found:
            return int(found[1] or found[2])
        time.sleep(0.02)
    raise AssertionError(log.read_text())
