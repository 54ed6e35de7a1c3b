"""A whole service of real processes: an API with keys, FAL's webhooks, and one folder for all counters."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.callers import ADMIN
from tests.support.fleet import fleet_on
from tests.support.keyed_world import KeyedWorld
from tests.support.keys import keys_without_ttl
from tests.support.ports import free_port
from tests.support.served_api import Service
from tests.support.servers import Address
from tests.support.service_process import ServiceProcess

PRICE = 300_000


class World(KeyedWorld):
    """With one folder for all counters."""

    def start_worker(self, *, webhooks: bool = True, **settings: str) -> ServiceProcess:
        """One worker, which gives a lost submit up after a second; `webhooks`: FAL tells of every end."""
        given = {**self.settings, "I2M_UNCONFIRMED_GRACE": "1", **settings}
        if not webhooks:
            del given["I2M_PUBLIC_URL"]
        return self.fleet.start_worker(**given)


@pytest.fixture
async def world(redis_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """The API runs; the test starts the worker. At the end every key must have a TTL of its own."""
    counters = tmp_path / "counters"
    counters.mkdir()
    async with fleet_on(redis_url, tmp_path) as fleet:
        address = Address("127.0.0.1", free_port())
        settings = {
            "I2M_PUBLIC_URL": f"http://127.0.0.1:{address.port}",
            "PROMETHEUS_MULTIPROC_DIR": str(counters),
        }
        await fleet.start_api(address.port, **settings, I2M_AUTH="keys", I2M_ADMIN_KEY=ADMIN)
        yield World(fleet, Service(address, tmp_path / "files"), settings)
        assert await keys_without_ttl(fleet.redis) == []
