"""`image2model up` as a process, on free ports and a data folder with a space in its name."""

import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.up_process import READY_SECONDS, Up

__all__ = ["READY_SECONDS", "Up"]


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Not there yet, with a space in its name, and short enough for a socket in it."""
    with tempfile.TemporaryDirectory(prefix="i2m ") as folder:
        yield Path(folder) / "my data"


@pytest.fixture
def up(data_dir: Path) -> Iterator[Callable[..., Up]]:
    """Starts an `up`; all of them are stopped in the end."""
    started: list[Up] = []

    def start(*flags: str, **environment: str) -> Up:
        started.append(Up(data_dir, *flags, **environment))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.end(signal.SIGTERM)
        one.wait()
