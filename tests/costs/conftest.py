"""A whole service of real processes: an API with keys, FAL's webhooks, and one folder for all counters."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.callers import ADMIN, Caller
from tests.support.fleet import Fleet, fleet_on
from tests.support.keys import keys_without_ttl
from tests.support.ports import free_port
from tests.support.served_api import Service
from tests.support.servers import Address
from tests.support.service_process import ServiceProcess
from tests.support.wait import until

PRICE = 300_000


@dataclass(frozen=True)
class World:
    """The parts. `settings` are those that every process gets."""

    fleet: Fleet
    service: Service
    settings: dict[str, str]

    @property
    def admin(self) -> Caller:
        return Caller(self.service, ADMIN)

    def caller(self, **options: str) -> Caller:
        """Somebody with a new key."""
        made = self.admin.post("admin/keys", json.dumps({"name": "ann", **options}).encode())
        assert made.status == 201
        return Caller(self.service, made.text("key"), made.text("key_id"), made.text("owner"))

    def start_worker(self, *, webhooks: bool = True, **settings: str) -> ServiceProcess:
        """One worker, which gives a lost submit up after a second; `webhooks`: FAL tells of every end."""
        given = {**self.settings, "I2M_UNCONFIRMED_GRACE": "1", **settings}
        if not webhooks:
            del given["I2M_PUBLIC_URL"]
        return self.fleet.start_worker(**given)

    async def ended(self, caller: Caller, job_id: str) -> dict[str, Any]:
        """The job's document once all of it has ended."""

        async def over() -> bool:
            return caller.get(f"status/{job_id}").body["finished_at"] is not None

        await until(over, timeout=60)
        return caller.get(f"status/{job_id}").body


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
