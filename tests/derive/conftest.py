"""A service of real processes with keys, whose API offers every endpoint."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.callers import ADMIN, Caller
from tests.support.fleet import fleet_on
from tests.support.keyed_world import KeyedWorld
from tests.support.keys import keys_without_ttl
from tests.support.ports import free_port
from tests.support.served_api import Answer, Service
from tests.support.servers import Address
from tests.support.wait import until


class World(KeyedWorld):
    """Whose models may be the start of a second step."""

    async def start_worker(self, **settings: str) -> None:
        """One worker; returns when the API has the list of models that it has read."""
        self.fleet.start_worker(**{**self.settings, **settings})

        async def read() -> bool:
            return self.admin.get("models").body["source"] == "fal"

        await until(read, timeout=60)

    async def ended(self, caller: Caller, job: Answer | str) -> dict[str, Any]:
        """The same of an upload that was accepted."""
        return await super().ended(caller, job if isinstance(job, str) else job.text("job_id"))

    def sent(self, url: object) -> bytes:
        """The file at an address of FAL's."""
        return self.fleet.emulator.http.get(str(url)).raise_for_status().content

    def download(self, caller: Caller, document: dict[str, Any], kind: str = "model") -> bytes:
        """A file of the first image of a job."""
        image_id = document["images"][0]["image_id"]
        found = caller.get(f"download/{document['job_id']}/{image_id}?file={kind}")
        assert found.status == 307, found.body
        location = found.headers["location"]
        if location.startswith("http"):
            return httpx.get(location).raise_for_status().content
        return caller.get(location).content


def first(document: dict[str, Any]) -> tuple[str, str]:
    """Job and image."""
    return document["job_id"], document["images"][0]["image_id"]


async def world_on(redis_url: str, folder: Path, **settings: str) -> AsyncIterator[World]:
    """At the end every key must have a TTL of its own."""
    async with fleet_on(redis_url, folder) as fleet:
        address = Address("127.0.0.1", free_port())
        given = {"I2M_MODELS": "*", "I2M_UNCONFIRMED_GRACE": "3", **settings}
        await fleet.start_api(address.port, **given, I2M_AUTH="keys", I2M_ADMIN_KEY=ADMIN)
        yield World(fleet, Service(address, folder / "files"), given)
        assert await keys_without_ttl(fleet.redis) == []


@pytest.fixture
async def world(redis_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """Results are kept here."""
    async for one in world_on(redis_url, tmp_path):
        yield one


@pytest.fixture
async def redirecting(redis_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """Results stay at FAL."""
    async for one in world_on(redis_url, tmp_path, I2M_RESULTS="redirect"):
        yield one
