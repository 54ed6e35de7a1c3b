"""A served application, and the whole service in processes of its own with finished jobs in it."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.api.conftest import make_service, redis, service
from tests.reference.keyed import Keyed, running_with_keys

__all__ = ["keyed", "make_service", "redis", "running", "service"]


@dataclass(frozen=True)
class Running:
    """Where the service answers."""

    url: str


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """`image2model up` with its emulator, without keys, on free ports."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("I2M_", "FAL_"))}
    with tempfile.TemporaryDirectory(prefix="i2m-") as data_dir:
        command = [sys.executable, "-m", "image2model", "up", "--port", "0", "--emulator-port", "0"]
        process = subprocess.Popen(
            [*command, "--latency", "200ms"],
            env={**kept, "I2M_DATA_DIR": data_dir, "I2M_LOG_LEVEL": "warning"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        ready = any(line.startswith("ready") for line in iter(process.stdout.readline, ""))
        try:
            assert ready
            yield Running(url)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=40)


@pytest.fixture(scope="module")
def keyed() -> Iterator[Keyed]:
    """The same with keys."""
    with running_with_keys() as service:
        yield service
