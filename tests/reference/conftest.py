"""A served application, and the whole service in processes of its own with finished jobs in it."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.api.conftest import make_service, redis, service
from tests.reference.keyed import Keyed, running_with_keys
from tests.support.up_process import Up

__all__ = ["keyed", "make_service", "redis", "running", "service"]


@dataclass(frozen=True)
class Running:
    """Where the service answers."""

    url: str


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """`image2model up` with its emulator, without keys, on free ports."""
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        up = Up(Path(folder) / "data", "--port", "0", "--latency", "200ms", I2M_LOG_LEVEL="warning")
        try:
            yield Running(up.ready().url)
        finally:
            up.end()


@pytest.fixture(scope="module")
def keyed() -> Iterator[Keyed]:
    """The same with keys."""
    with running_with_keys() as service:
        yield service
