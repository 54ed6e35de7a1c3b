"""A fleet, an API that takes private addresses, and a server of pictures."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from image2model.store.keys import key
from image2model.store.records import JobSnapshot
from tests.support.fleet import Fleet
from tests.support.picture_server import PictureServer, picture_server
from tests.support.served_api import Answer, MakeService, Service
from tests.support.service_process import ServiceProcess

PRIVATE = {"I2M_FETCH_ALLOW_PRIVATE": "1", "I2M_WEBHOOK_ALLOW_PRIVATE": "1"}


class World:
    """What a test of addresses needs."""

    def __init__(self, fleet: Fleet, service: Service, pictures: PictureServer) -> None:
        self.fleet = fleet
        self.service = service
        self.pictures = pictures

    def start_worker(self, **settings: str) -> ServiceProcess:
        """A worker that fetches from private addresses."""
        return self.fleet.start_worker(**PRIVATE, **settings)

    def send(self, body: dict[str, Any], **headers: str) -> Answer:
        """POST /jobs."""
        return send(self.service, body, **headers)

    def accepted(self, body: dict[str, Any]) -> str:
        """The same, accepted; the job's id."""
        answer = self.send(body)
        assert answer.status == 202, answer.content
        return answer.text("job_id")

    async def ended(self, job_id: str, timeout: float = 60) -> JobSnapshot:
        """The job at its end."""
        return await self.fleet.until_finished(job_id, timeout)

    async def fetches(self) -> list[str]:
        """The keys of fetches in the store."""
        return [name.decode() async for name in self.fleet.redis.scan_iter(match=key("fetch", "*"))]


def send(service: Service, body: dict[str, Any], path: str = "jobs", **headers: str) -> Answer:
    """An upload as JSON."""
    return service.post(path, json.dumps(body).encode(), content_type="application/json", **headers)


@pytest.fixture
async def pictures() -> AsyncIterator[PictureServer]:
    async with picture_server() as server:
        yield server


@pytest.fixture
def world(fleet: Fleet, make_service: MakeService, pictures: PictureServer) -> World:
    return World(fleet, make_service(fetch_allow_private="1", webhook_allow_private="1"), pictures)
