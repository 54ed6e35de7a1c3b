"""Fixtures of the gateway's tests: the emulator as a process, a gateway on it with short waits."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from image2model.fal.connections import HttpConnections
from image2model.fal.follow import FollowPace
from image2model.fal.gateway import FalGateway
from image2model.fal.hosts import FalHosts
from tests.fal.buyer import Buyer
from tests.support.emulator_process import EmulatorProcess, emulator_process

FAST = FollowPace(idle=5, first_gap=0.02, longest_gap=0.1, stream_again=0.3, grace=0.3, settle=0.3)


@pytest.fixture(scope="session")
def emulator_server() -> Iterator[EmulatorProcess]:
    """One process for a whole test run."""
    with emulator_process() as running:
        yield running


@pytest.fixture
def emulator(emulator_server: EmulatorProcess) -> EmulatorProcess:
    """The same, as new: no faults, an empty ledger, a latency of 50 ms."""
    emulator_server.reset(latency=0.05, concurrency=40, lookup_lag=5)
    return emulator_server


@pytest.fixture
async def connections() -> AsyncIterator[HttpConnections]:
    """Connections that are kept for as long as a test takes."""
    made = HttpConnections({"User-Agent": "test"}, keep_s=30)
    yield made
    await made.close()


@pytest.fixture
async def fal(emulator: EmulatorProcess) -> AsyncIterator[FalGateway]:
    """A gateway on the emulator with a key of its own, so that no other test's rest is ahead in the queue."""
    async with FalGateway(
        f"{uuid4()}:secret",
        FalHosts.at(emulator.url),
        pace=FAST,
        submit_deadline=1.5,
        result_deadline=1.0,
        read_deadline=2.0,
    ) as gateway:
        yield gateway


@pytest.fixture
def buyer(fal: FalGateway) -> Buyer:
    """Buys one generation the way the worker does."""
    return Buyer(fal)
