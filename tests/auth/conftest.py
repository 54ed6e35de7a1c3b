"""Services with keys, a hand that makes keys, and callers that send them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis

from image2model.access import keys
from image2model.store.connection import connect
from image2model.up.store import EmbeddedStore
from tests.api.conftest import Answer, Service
from tests.api.conftest import make_service as make_open_service
from tests.support.keys import keys_without_life
from tests.support.multipart_body import CONTENT_TYPE, Body

ADMIN = "the-first-admin-key-of-the-settings"

__all__ = ["make_open_service"]


@dataclass(frozen=True)
class Caller:
    """Somebody with a key."""

    service: Service
    key: str
    key_id: str = ""
    owner: str = ""

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        full = path if path.startswith("/") else f"/api/v1/{path}"
        given = {"Authorization": f"Bearer {self.key}", **(headers or {})}
        return self.service.send(method, full, body, given)

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, None, {k.replace("_", "-"): v for k, v in headers.items()})

    def post(self, path: str, body: bytes | None = None, **headers: str) -> Answer:
        return self.send("POST", path, body, {k.replace("_", "-"): v for k, v in headers.items()})

    def upload(self, body: Body, **headers: str) -> Answer:
        return self.post("upload/batch", bytes(body), content_type=CONTENT_TYPE, **headers)

    def on(self, service: Service) -> "Caller":
        """The same on another process."""
        return Caller(service, self.key, self.key_id, self.owner)


MakeCaller = Callable[..., Awaitable[Caller]]


@pytest.fixture
async def redis(valkey: EmbeddedStore) -> AsyncIterator[Redis]:
    async with connect(valkey.url) as client:
        yield client
        assert await keys_without_life(client) == []


@pytest.fixture
def make_service(make_open_service: Callable[..., Service]) -> Callable[..., Service]:
    """A service with keys; settings by their names without `I2M_`."""

    def make(**overrides: str) -> Service:
        return make_open_service(**{"auth": "keys", "admin_key": ADMIN, **overrides})

    return make


@pytest.fixture
def service(make_service: Callable[..., Service]) -> Service:
    return make_service()


@pytest.fixture
def admin(service: Service) -> Caller:
    return Caller(service, ADMIN)


@pytest.fixture
def make_caller(service: Service, redis: Redis) -> MakeCaller:
    """Somebody with a new key: `make_caller(budget="1.00/month")`."""

    async def make(name: str = "ann", **wish: object) -> Caller:
        made = await keys.create(redis, keys.KeyRequest(name=name, **wish))  # type: ignore[arg-type]
        return Caller(service, made.key, made.key_id, made.owner)

    return make
