"""The bodies of many clients are accepted: names and fields as they were meant, pictures byte for byte."""

from collections.abc import Iterator

import pytest

from tests.bodies.relay import relaying
from tests.bodies.table import CLIENTS, send
from tests.bodies.world import World, running


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """The service of this module's tests."""
    with running() as found:
        yield found


@pytest.mark.parametrize(
    "name", [pytest.param(one.name, marks=[pytest.mark.long] * one.heavy) for one in CLIENTS.values()]
)
def test_body_is_read_as_its_client_means_it(world: World, name: str) -> None:
    with relaying(world.url) as relay:
        send(world, CLIENTS[name], relay)
