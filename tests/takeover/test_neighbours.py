"""Two services on one server, with other database numbers: neither hears the other."""

from pathlib import Path

import aiohttp
import pytest

from tests.support.fleet import Fleet, fleet_on
from tests.support.ports import free_port
from tests.takeover.clients import Clients

pytestmark = pytest.mark.long

_HOST = "127.0.0.1"


async def _service(fleet: Fleet, http: aiohttp.ClientSession) -> Clients:
    port = free_port(_HOST)
    fleet.start_worker()
    await fleet.start_api(port)
    return Clients(http, [f"http://{_HOST}:{port}"])


async def test_neighbours_on_one_server_hear_their_own_events_alone(redis_url: str, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    async with (
        fleet_on(redis_url, folders[0]) as one,
        fleet_on(f"{redis_url}?db=1", folders[1]) as two,
        aiohttp.ClientSession() as http,
    ):
        services = [await _service(one, http), await _service(two, http)]
        for service in services:
            service.start()
        for service in services:
            await service.until_completed(4)
        for service in services:
            await service.stop()
            assert service.problems() == []
            heard = service.owners[0]
            assert set(heard.completes) == set(service.jobs)
            assert set(heard.ends) == {image for images in service.jobs.values() for image in images}
            # a notification that is lost is made up for late, by comparing
            assert sorted(heard.lags)[len(heard.lags) // 2] < 1
