"""Services with keys, and callers that send them."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from image2model.access import keys
from tests.support.callers import ADMIN, Caller
from tests.support.served_api import MakeService, Service, services

MakeCaller = Callable[..., Awaitable[Caller]]


@pytest.fixture
def make_service(make_keyed_service: MakeService) -> MakeService:
    """All services of this folder ask for a key."""
    return make_keyed_service


@pytest.fixture
def make_open_service(tmp_path: Path, redis_url: str) -> Iterator[MakeService]:
    """Beside them, services without keys."""
    with services(tmp_path, redis_url, auth="none") as make:
        yield make


@pytest.fixture
def admin(service: Service) -> Caller:
    return Caller(service, ADMIN)


@pytest.fixture
def make_caller(service: Service, redis: Redis) -> MakeCaller:
    """Somebody with a new key: `make_caller(budget="1.00/month")`."""

    async def make(name: str = "ann", **options: object) -> Caller:
        made = await keys.create(redis, keys.KeyRequest(name=name, **options))  # type: ignore[arg-type]
        return Caller(service, made.key, made.key_id, made.owner)

    return make
