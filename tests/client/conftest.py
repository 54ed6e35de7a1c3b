"""The service's double, and a client of it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from image2model.client import AsyncClient
from tests.support.service import Service, running_service


@pytest.fixture
def service() -> Iterator[Service]:
    with running_service() as service:
        yield service


@pytest.fixture
async def client(service: Service) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(service.url, "a-key", patience=5) as client:
        yield client
