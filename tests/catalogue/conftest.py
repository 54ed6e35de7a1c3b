"""FAL's list in a test's store, and the service on it."""

from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from tests.support.catalogue import ListedFal, refresh

Listing = Callable[[ListedFal], Awaitable[None]]


@pytest.fixture
def listing(redis: Redis) -> Listing:
    """Put what FAL lists into the store, as a worker does."""

    async def read(fal: ListedFal) -> None:
        assert await refresh(redis, fal)

    return read
