"""A fleet on the session's server, and one behind gates."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.fleet import Fleet, fleet_on
from tests.support.keys import keys_without_life
from tests.worker.stage import Stage, stage_on


@pytest.fixture
async def fleet(redis_url: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    """Store, emulator and storage; the test starts the workers. Every key must have a life of its own."""
    async with fleet_on(redis_url, tmp_path) as fleet:
        yield fleet
        assert await keys_without_life(fleet.redis) == []


@pytest.fixture
async def stage(redis_url: str, tmp_path: Path) -> AsyncIterator[Stage]:
    """Gates, and no worker yet."""
    async with stage_on(redis_url, tmp_path, redis_url) as stage:
        yield stage
        assert await keys_without_life(stage.fleet.redis) == []
